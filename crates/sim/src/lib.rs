//! A fleet in a box: seeded population, faults, virtual clock.
