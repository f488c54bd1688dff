//! A systemd unit that serves an app.

/// What the unit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit<'a> {
    /// The app's id.
    pub app_id: &'a str,
    /// The program and its arguments, without the deployment's directory.
    pub command: &'a [String],
    /// Files that its user alone may read, whoever owns them: the option that names one, and its path.
    pub credentials: &'a [(&'a str, String)],
}

impl Unit<'_> {
    /// The unit as text. It runs as a user that exists while it runs, and keeps its state in a directory of its own.
    pub fn text(&self) -> String {
        let id = self.app_id;
        let mut command: Vec<String> = self.command.iter().map(|word| host::systemd::quoted(word)).collect();
        let mut credentials = String::new();
        for (option, path) in self.credentials {
            let name = option.trim_start_matches('-');
            command.push(format!("{option} ${{CREDENTIALS_DIRECTORY}}/{name}"));
            credentials.push_str(&format!("LoadCredential={name}:{}\n", path.replace('%', "%%")));
        }
        format!(
            "[Unit]
Description=Mattermost App {id}
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={}
{credentials}Environment=MAINSTAY_DIR=/var/lib/mainstay-app-{id}
StateDirectory=mainstay-app-{id}
StateDirectoryMode=0711
DynamicUser=yes
Restart=always
RestartSec=2
NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
",
            command.join(" ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        let command = ["/usr/bin/mainstay".to_owned(), "apps".to_owned(), "my bundle.zip".to_owned()];
        let text = Unit { app_id: "com.example.app", command: &command, credentials: &[] }.text();
        assert!(text.contains("\nExecStart=/usr/bin/mainstay apps \"my bundle.zip\"\n"), "{text}");
        assert!(text.contains("DynamicUser=yes") && !text.contains("LoadCredential"));
        let credentials = [("--secret-file", "/root/secret".to_owned())];
        let text = Unit { app_id: "com.example.app", command: &command, credentials: &credentials }.text();
        assert!(text.contains(" --secret-file ${CREDENTIALS_DIRECTORY}/secret-file\n"), "{text}");
        assert!(text.contains("\nLoadCredential=secret-file:/root/secret\nEnvironment="), "{text}");
    }
}
