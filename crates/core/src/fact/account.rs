//! Section `accounts`: users and groups of the root's own files.
//!
//! Of a password it says whether there is one and how it is hashed, never the hash. The
//! comment field is left out: it holds people's names and telephone numbers.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Accounts {
    /// In the order of `/etc/passwd`: of two with one name, the first counts.
    pub users: Vec<User>,
    /// In the order of `/etc/group`.
    pub groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    /// Empty means `/bin/sh` (passwd(5)).
    pub shell: String,
    /// None where the shadow file could not be read.
    pub password: Option<Password>,
    /// None where there is no shadow entry, or it could not be read.
    pub ageing: Option<Ageing>,
}

/// What stands in a password field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Password {
    /// Nothing: who asks gets in, where the login service lets them.
    Empty,
    /// No password opens it. `scheme` is there where an unlock would bring a password back.
    Locked { scheme: Option<Scheme> },
    /// A password is set. `exposed` says that its hash stands in the world-readable `/etc/passwd`.
    Set { scheme: Scheme, exposed: bool },
}

/// How a password is hashed (crypt(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    Yescrypt,
    GostYescrypt,
    Scrypt,
    Bcrypt,
    Sha512,
    Sha256,
    Sha1,
    Md5,
    SunMd5,
    Nt,
    /// Traditional or extended DES.
    Des,
    /// None of those: whatever it is, nobody can log in by it, or the host knows more than we do.
    Other,
}

/// The ageing fields of shadow(5), in days; the two dates in days since 1970-01-01.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ageing {
    /// 0 means that the password has to be changed at the next login.
    pub changed_on: Option<i64>,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    pub warning: Option<i64>,
    pub inactive: Option<i64>,
    pub expires_on: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    /// Members beside those whose own group it is, sorted.
    pub members: Vec<String>,
}
