//! The command line. Read by hand: three options do not ask for a parser.

use std::ffi::OsString;

pub(crate) const HELP: &str = "\
Says offline whether a bundle is what the log signed.

usage: bartizan-verify BUNDLE [--checkpoint FILE]... [--key KEY]

  --checkpoint FILE  a checkpoint of the log that was kept elsewhere (by an agent, in a mail):
                     against it a log that was cut short or written anew shows. May be given often.
  --key KEY          the log's public key, NAME+ID+BASE64, or a file that holds it;
                     without it the key in the bundle is taken
  -h, --help         print this
  -V, --version      print the version

exit codes: 0 verified, 1 not verified, 2 the caller's mistake, 3 a file could not be read
";

/// What was asked for.
pub(crate) enum Asked {
    Help,
    Version,
    Verify(Arguments),
}

/// What a verification is given.
pub(crate) struct Arguments {
    pub(crate) bundle: OsString,
    pub(crate) checkpoints: Vec<OsString>,
    pub(crate) key: Option<OsString>,
}

/// Reads the words after the program's name; the error is for the caller.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Asked, String> {
    let mut bundle = None;
    let mut checkpoints = Vec::new();
    let mut key = None;
    let mut plain = false;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        let (option, joined) = match text.split_once('=') {
            Some((option, value)) if text.starts_with("--") => (option, Some(OsString::from(value))),
            _ => (text, None),
        };
        match option {
            "-h" | "--help" if !plain => return Ok(Asked::Help),
            "-V" | "--version" if !plain => return Ok(Asked::Version),
            "--" if !plain => plain = true,
            "--checkpoint" | "--key" if !plain => {
                let value = joined.or_else(|| words.next());
                let value = value.ok_or_else(|| format!("{option} needs a value"))?;
                if option == "--checkpoint" {
                    checkpoints.push(value);
                } else if key.replace(value).is_some() {
                    return Err("--key was given twice".to_owned());
                }
            }
            _ if option.starts_with('-') && !plain => return Err(format!("there is no option {option}")),
            _ if bundle.is_some() => return Err("only one bundle can be verified at a time".to_owned()),
            _ => bundle = Some(word),
        }
    }
    let bundle = bundle.ok_or("no bundle was named")?;
    Ok(Asked::Verify(Arguments { bundle, checkpoints, key }))
}
