//! Messages of agents, packed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = bartizan_wire::unpack_versioned::<bartizan_wire::report::Batch>(data);
    let _ = bartizan_wire::unpack_versioned::<bartizan_wire::checkin::Heartbeat>(data);
    let _ = bartizan_wire::unpack_versioned::<bartizan_wire::enrol::Request>(data);
    if let Ok(packed) = bartizan_wire::pack(&bartizan_fuzz::text(data)) {
        let back: Result<String, _> = bartizan_wire::unpack(&packed);
        assert_eq!(back.ok(), Some(bartizan_fuzz::text(data)));
    }
});
