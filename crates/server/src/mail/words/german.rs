//! The words in German.

use super::Words;

impl Words {
    pub(crate) const GERMAN: Words = Words {
        language: "de",
        footer: "Diese E-Mail wurde von {site} gesendet, {url}",
        help: "Fragen? Schreiben Sie an {address}",
        hello: "Hallo {name},",
        verify_subject: "[{site}] Bestätigen Sie Ihre E-Mail-Adresse",
        verify_text: "Bestätigen Sie, dass {address} Ihre Adresse ist. Der Link gilt einmal und 24 Stunden lang.",
        verify_button: "Adresse bestätigen",
        welcome_subject: "[{site}] Willkommen",
        welcome_text: "Sie haben jetzt ein Konto bei {site}. Ihr Benutzername ist {name}.",
        open_button: "{site} öffnen",
        reset_subject: "[{site}] Neues Passwort wählen",
        reset_text: "Jemand hat ein neues Passwort für Ihr Konto {name} angefordert. Der Link gilt einmal und 24 Stunden lang. Wenn Sie das nicht waren, beachten Sie diese E-Mail nicht: Ihr Passwort bleibt, wie es ist.",
        reset_button: "Neues Passwort wählen",
        password_subject: "[{site}] Ihr Passwort wurde geändert",
        password_text: "Das Passwort Ihres Kontos {name} wurde geändert. Wenn Sie das nicht waren, wenden Sie sich sofort an Ihren Administrator.",
        address_subject: "[{site}] Ihre E-Mail-Adresse wurde geändert",
        address_text: "Die Adresse Ihres Kontos {name} ist jetzt {address}. Wenn Sie das nicht waren, wenden Sie sich sofort an Ihren Administrator.",
        deactivated_subject: "[{site}] Ihr Konto wurde deaktiviert",
        deactivated_text: "Ihr Konto {name} wurde deaktiviert. Wenn Sie das nicht waren oder das Konto zurückhaben möchten, schreiben Sie Ihrem Administrator.",
        invite_subject: "[{site}] {sender} lädt Sie in das Team {team} ein",
        invite_text: "{sender} lädt Sie in das Team {team} bei {site} ein. Der Link gilt einmal und 48 Stunden lang.",
        invite_button: "{team} beitreten",
        direct_subject: "[{site}] Neue Direktnachricht von {sender}",
        mention_subject: "[{site}] {sender} hat Sie in {place} erwähnt",
        reply_subject: "[{site}] {sender} hat in {place} geantwortet",
        generic_subject: "[{site}] Neue Benachrichtigung",
        several_subject: "[{site}] {count} neue Benachrichtigungen",
        direct_line: "{sender} hat Ihnen eine Direktnachricht gesendet",
        mention_line: "{sender} hat Sie in {place} erwähnt",
        reply_line: "{sender} hat in {place} auf eine Unterhaltung geantwortet, der Sie folgen",
        files: "Dateien: {names}",
        read_button: "Nachricht lesen",
        why: "Sie erhalten E-Mails über Nachrichten, solange Sie abwesend sind. Das können Sie in den Benachrichtigungseinstellungen Ihres Kontos ändern.",
        test_subject: "[{site}] Test-E-Mail",
        test_text: "Dies ist eine Test-E-Mail. {site} kann E-Mails senden.",
    };
}
