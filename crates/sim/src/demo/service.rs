//! What runs on a host of each purpose: who listens, where, and as whom.

use super::population::Purpose;

/// One program that answers on the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listens {
    /// The unit, and the name of its process.
    pub(super) unit: &'static str,
    pub(super) program: &'static str,
    pub(super) account: &'static str,
    pub(super) uid: u32,
    pub(super) ports: &'static [u16],
    /// Whether it listens on the fleet's own network alone.
    pub(super) inside: bool,
}

const fn listens(
    unit: &'static str,
    program: &'static str,
    (account, uid): (&'static str, u32),
    ports: &'static [u16],
    inside: bool,
) -> Listens {
    Listens { unit, program, account, uid, ports, inside }
}

const HAPROXY: Listens = listens("haproxy", "/usr/sbin/haproxy", ("haproxy", 110), &[80, 443], false);
const NGINX: Listens = listens("nginx", "/usr/sbin/nginx", ("www-data", 33), &[8080], true);
const WIKI: Listens = listens("nginx", "/usr/sbin/nginx", ("nginx", 101), &[443], false);
const REDIS: Listens = listens("redis-server", "/usr/bin/redis-server", ("redis", 111), &[6379], true);
const SEARCH: Listens =
    listens("search", "/usr/lib/jvm/java-21-openjdk/bin/java", ("search", 112), &[9200], true);
const API: Listens =
    listens("payments-api", "/usr/lib/jvm/java-21-openjdk/bin/java", ("api", 980), &[443], true);
const POSTGRES: Listens =
    listens("postgresql", "/usr/lib/postgresql/15/bin/postgres", ("postgres", 113), &[5432], true);
const VAULT: Listens = listens("vault", "/usr/local/bin/vault", ("vault", 981), &[8200], true);
const SIGN_ON: Listens = listens("sso", "/usr/lib/jvm/java-21-openjdk/bin/java", ("sso", 114), &[443], false);
const SLAPD: Listens = listens("slapd", "/usr/sbin/slapd", ("openldap", 115), &[389, 636], true);
const POSTFIX: Listens =
    listens("postfix", "/usr/lib/postfix/sbin/master", ("postfix", 116), &[25, 587], false);
const SAMBA: Listens = listens("smbd", "/usr/sbin/smbd", ("nobody", 65534), &[445], true);
const CUPS: Listens = listens("cupsd", "/usr/sbin/cupsd", ("lp", 7), &[631], true);

/// What answers on a host of this purpose.
pub(super) const fn of(purpose: Purpose) -> &'static [Listens] {
    match purpose {
        Purpose::Edge => &[HAPROXY],
        Purpose::Web => &[NGINX],
        Purpose::Queue => &[REDIS],
        Purpose::Search => &[SEARCH],
        Purpose::Api => &[API],
        Purpose::Database => &[POSTGRES],
        Purpose::Vault => &[VAULT],
        Purpose::SignOn => &[SIGN_ON],
        Purpose::Directory => &[SLAPD],
        Purpose::Mail => &[POSTFIX],
        Purpose::Files => &[SAMBA],
        Purpose::Wiki => &[WIKI],
        Purpose::Print => &[CUPS],
        Purpose::Build => &[],
    }
}

/// Where it keeps its data, on a disk of its own.
pub(super) const fn data(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Database => Some("/var/lib/postgresql"),
        Purpose::Search => Some("/var/lib/search"),
        Purpose::Files => Some("/srv/files"),
        Purpose::Mail => Some("/var/mail"),
        _ => None,
    }
}
