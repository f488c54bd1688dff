//! The words in French.

use super::Words;

impl Words {
    pub(crate) const FRENCH: Words = Words {
        language: "fr",
        footer: "Ce courriel a été envoyé par {site}, {url}",
        help: "Des questions ? Écrivez à {address}",
        hello: "Bonjour {name},",
        verify_subject: "[{site}] Confirmez votre adresse e-mail",
        verify_text: "Confirmez que {address} est votre adresse. Le lien fonctionne une seule fois, pendant 24 heures.",
        verify_button: "Confirmer l’adresse",
        welcome_subject: "[{site}] Bienvenue",
        welcome_text: "Vous avez maintenant un compte sur {site}. Votre nom d’utilisateur est {name}.",
        open_button: "Ouvrir {site}",
        reset_subject: "[{site}] Choisissez un nouveau mot de passe",
        reset_text: "Quelqu’un a demandé un nouveau mot de passe pour votre compte {name}. Le lien fonctionne une seule fois, pendant 24 heures. Si ce n’était pas vous, ignorez ce courriel : votre mot de passe ne change pas.",
        reset_button: "Choisir un nouveau mot de passe",
        password_subject: "[{site}] Votre mot de passe a été modifié",
        password_text: "Le mot de passe de votre compte {name} a été modifié. Si ce n’était pas vous, prévenez tout de suite votre administrateur.",
        address_subject: "[{site}] Votre adresse e-mail a été modifiée",
        address_text: "L’adresse de votre compte {name} est désormais {address}. Si ce n’était pas vous, prévenez tout de suite votre administrateur.",
        deactivated_subject: "[{site}] Votre compte a été désactivé",
        deactivated_text: "Votre compte {name} a été désactivé. Si ce n’était pas vous, ou pour le retrouver, écrivez à votre administrateur.",
        invite_subject: "[{site}] {sender} vous invite dans l’équipe {team}",
        invite_text: "{sender} vous invite dans l’équipe {team} sur {site}. Le lien fonctionne une seule fois, pendant 48 heures.",
        invite_button: "Rejoindre {team}",
        direct_subject: "[{site}] Nouveau message direct de {sender}",
        mention_subject: "[{site}] {sender} vous a mentionné dans {place}",
        reply_subject: "[{site}] {sender} a répondu dans un fil de {place}",
        generic_subject: "[{site}] Nouvelle notification",
        several_subject: "[{site}] {count} nouvelles notifications",
        direct_line: "{sender} vous a envoyé un message direct",
        mention_line: "{sender} vous a mentionné dans {place}",
        reply_line: "{sender} a répondu dans un fil que vous suivez dans {place}",
        files: "Fichiers : {names}",
        read_button: "Lire le message",
        why: "Vous recevez des courriels sur les messages pendant votre absence. Vous pouvez changer cela dans les paramètres de notification de votre compte.",
        test_subject: "[{site}] Courriel de test",
        test_text: "Ceci est un courriel de test. {site} peut envoyer des courriels.",
    };
}
