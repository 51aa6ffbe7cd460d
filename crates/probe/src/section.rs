//! Collecting a section by its name: the one door for whoever lists, hashes or reports sections.

use bartizan_core::canonical::{Error, Value};
use bartizan_core::fact::{Name, Section};
use bartizan_core::verdict::Reason;
use serde::Serialize;

use crate::root::Root;
use crate::{account, certificate, hardware, job, kernel, module, mount, process, socket, ssh, sysctl, unit};

/// Collects one section; its body is the canonical value that its digest is over. The error is a bug:
/// a body that has no canonical form.
pub fn collect(root: &Root, name: Name) -> Result<Section<Value>, Error> {
    match name {
        Name::Os | Name::Packages => {
            let mut section = Section::new(Value::Null);
            section.miss(name.as_str(), Reason::Unsupported);
            Ok(section)
        }
        Name::Kernel => canonical(kernel::collect(root)),
        Name::Hardware => canonical(hardware::collect(root)),
        Name::Units => canonical(unit::collect(root)),
        Name::Sockets => canonical(socket::collect(root)),
        Name::Processes => canonical(process::collect(root)),
        Name::Accounts => canonical(account::collect(root)),
        Name::Sudoers => canonical(account::sudoers::collect(root)),
        Name::Sshd => canonical(ssh::collect(root)),
        Name::Sysctl => canonical(sysctl::collect(root)),
        Name::Mounts => canonical(mount::collect(root)),
        Name::Modules => canonical(module::collect(root)),
        Name::Jobs => canonical(job::collect(root)),
        Name::Certificates => canonical(certificate::collect(root)),
    }
}

fn canonical<T: Serialize>(section: Section<T>) -> Result<Section<Value>, Error> {
    Ok(Section { body: Value::from_data(&section.body)?, unknown: section.unknown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn every_section_of_this_host_and_of_an_empty_root_has_a_canonical_form() {
        let empty = tree::root(&[]);
        for name in Name::ALL {
            for root in [&Root::host(), &*empty] {
                let section = collect(root, name).unwrap();
                let text = section.body.to_canonical();
                assert_eq!(Value::parse(&text).unwrap(), section.body, "{name}");
            }
        }
    }
}
