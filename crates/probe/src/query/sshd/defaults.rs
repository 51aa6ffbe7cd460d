//! What sshd does where nothing is set: the compiled defaults of OpenSSH 9.2, which Debian 12 ships.

/// Keyword and value, in the form that the views have. A keyword that is not here has no default.
pub(super) const DEFAULTS: [(&str, &str); 43] = [
    ("allowagentforwarding", "yes"),
    ("allowstreamlocalforwarding", "yes"),
    ("allowtcpforwarding", "yes"),
    ("authorizedkeyscommand", "none"),
    ("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2"),
    ("banner", "none"),
    (
        "ciphers",
        "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,\
         aes256-gcm@openssh.com",
    ),
    ("clientalivecountmax", "3"),
    ("clientaliveinterval", "0"),
    ("compression", "delayed"),
    ("disableforwarding", "no"),
    ("exposeauthinfo", "no"),
    ("fingerprinthash", "sha256"),
    ("gatewayports", "no"),
    ("gssapiauthentication", "no"),
    ("gssapikeyexchange", "no"),
    ("gssapistrictacceptorcheck", "yes"),
    ("hostbasedauthentication", "no"),
    ("ignorerhosts", "yes"),
    ("ignoreuserknownhosts", "no"),
    ("kbdinteractiveauthentication", "yes"),
    ("kerberosauthentication", "no"),
    (
        "kexalgorithms",
        "sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,\
         ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
         diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
         diffie-hellman-group18-sha512,diffie-hellman-group14-sha256",
    ),
    ("logingracetime", "120"),
    ("loglevel", "INFO"),
    (
        "macs",
        "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
         hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,\
         umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1",
    ),
    ("maxauthtries", "6"),
    ("maxsessions", "10"),
    ("maxstartups", "10:30:100"),
    ("passwordauthentication", "yes"),
    ("permitemptypasswords", "no"),
    ("permitrootlogin", "prohibit-password"),
    ("permittty", "yes"),
    ("permittunnel", "no"),
    ("permituserenvironment", "no"),
    ("permituserrc", "yes"),
    ("printlastlog", "yes"),
    ("pubkeyauthentication", "yes"),
    ("requiredrsasize", "1024"),
    ("strictmodes", "yes"),
    ("tcpkeepalive", "yes"),
    ("usepam", "no"),
    ("x11forwarding", "no"),
];

pub(super) fn of(keyword: &str) -> Option<&'static str> {
    DEFAULTS.iter().find(|(name, _)| *name == keyword).map(|(_, value)| *value)
}
