//! Classes of error: one small table that every room's errors map to.

/// What kind of thing went wrong, for whoever has to answer: it fixes the HTTP status
/// and the exit code (see [`Class::http_status`] and [`Class::exit_code`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The caller sent something that can't be right; sending it again won't help.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// It clashes with what is already there (another digest, a stale generation).
    Conflict,
    /// The caller may not do this.
    Denied,
    /// A named limit was passed.
    Limit,
    /// Our own store, disk or network stood in the way; trying later may help.
    Unavailable,
    /// A fault in Bartizan.
    Bug,
}

impl Class {
    /// The HTTP status code that carries this class (RFC 9110 section 15).
    pub fn http_status(self) -> u16 {
        match self {
            Class::Invalid => 400,
            Class::NotFound => 404,
            Class::Conflict => 409,
            Class::Denied => 403,
            Class::Limit => 413,
            Class::Unavailable => 503,
            Class::Bug => 500,
        }
    }

    /// The process exit code: 2 is the caller's mistake, 3 is ours.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Invalid | Class::NotFound | Class::Conflict | Class::Denied | Class::Limit => 2,
            Class::Unavailable | Class::Bug => 3,
        }
    }
}
