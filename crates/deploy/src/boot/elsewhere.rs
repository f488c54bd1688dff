//! What starts a deployment at boot where systemd does not run the machine: files for an administrator to put in place.

use crate::world::World;

/// Another program that starts things at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherInit {
    /// Alpine, Gentoo, ...
    OpenRc,
    /// Void, ...
    Runit,
    /// Whatever has a cron with `@reboot`.
    Cron,
}

/// A word for `sh`, in quotes.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

impl OtherInit {
    /// Where the file belongs, and what is done with it.
    pub fn place(self, name: &str) -> String {
        match self {
            Self::OpenRc => format!(
                "put this into /etc/init.d/{name}, `chmod 755` it, then `rc-update add {name} default`"
            ),
            Self::Runit => {
                format!(
                    "put this into /etc/sv/{name}/run, `chmod 755` it, then `ln -s /etc/sv/{name} /var/service/`"
                )
            }
            Self::Cron => format!("put this into /etc/cron.d/{name}"),
        }
    }

    /// The file that starts the deployment of `world`.
    pub fn text(self, world: &World) -> String {
        let (program, dir) = (world.mainstay.to_string_lossy(), world.layout.root().to_string_lossy());
        let (program, dir) = (shell(&program), shell(&dir));
        match self {
            Self::OpenRc => format!(
                "#!/sbin/openrc-run\n\
                 description=\"Mattermost, run by Mainstay\"\n\
                 \n\
                 depend() {{\n\tneed localmount\n\tuse net dns logger postgresql mysql\n}}\n\
                 \n\
                 start() {{\n\tebegin \"Starting Mattermost\"\n\t{program} --dir {dir} up\n\teend $?\n}}\n\
                 \n\
                 stop() {{\n\tebegin \"Stopping Mattermost\"\n\t{program} --dir {dir} down\n\teend $?\n}}\n\
                 \n\
                 status() {{\n\t{program} --dir {dir} status --check\n}}\n"
            ),
            Self::Runit => format!("#!/bin/sh\nexec {program} --dir {dir} up --foreground 2>&1\n"),
            // Cron reads `%` as the end of a line.
            Self::Cron => format!(
                "@reboot root {} >/dev/null 2>&1\n",
                format!("{program} --dir {dir} up --wait 300").replace('%', "\\%")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::layout::Layout;

    #[test]
    fn a_directory_with_odd_characters_stays_one_word() {
        let layout = Layout::new("/srv/jo's 5% chat");
        let world = World::new(layout, "/usr/local/bin/mainstay".into(), "0.1.0", [].into());
        let cron = OtherInit::Cron.text(&world);
        let line = r"@reboot root /usr/local/bin/mainstay --dir '/srv/jo'\''s 5\% chat' up --wait 300 >/dev/null 2>&1";
        assert_eq!(cron.trim_end(), line);
        let runit = OtherInit::Runit.text(&world);
        assert!(runit.ends_with("--dir '/srv/jo'\\''s 5% chat' up --foreground 2>&1\n"), "{runit}");
    }
}
