//! The words in Portuguese.

use super::Words;

impl Words {
    pub(crate) const PORTUGUESE: Words = Words {
        language: "pt-BR",
        footer: "Este e-mail foi enviado por {site}, {url}",
        help: "Dúvidas? Escreva para {address}",
        hello: "Olá, {name}!",
        verify_subject: "[{site}] Confirme seu endereço de e-mail",
        verify_text: "Confirme que {address} é o seu endereço. O link funciona uma única vez, durante 24 horas.",
        verify_button: "Confirmar o endereço",
        welcome_subject: "[{site}] Boas-vindas",
        welcome_text: "Agora você tem uma conta em {site}. Seu nome de usuário é {name}.",
        open_button: "Abrir {site}",
        reset_subject: "[{site}] Escolha uma nova senha",
        reset_text: "Alguém pediu uma nova senha para a sua conta {name}. O link funciona uma única vez, durante 24 horas. Se não foi você, ignore este e-mail: sua senha não muda.",
        reset_button: "Escolher uma nova senha",
        password_subject: "[{site}] Sua senha foi alterada",
        password_text: "A senha da sua conta {name} foi alterada. Se não foi você, avise imediatamente o administrador.",
        address_subject: "[{site}] Seu endereço de e-mail foi alterado",
        address_text: "O endereço da sua conta {name} agora é {address}. Se não foi você, avise imediatamente o administrador.",
        deactivated_subject: "[{site}] Sua conta foi desativada",
        deactivated_text: "Sua conta {name} foi desativada. Se não foi você, ou para tê-la de volta, escreva ao administrador.",
        invite_subject: "[{site}] {sender} convida você para a equipe {team}",
        invite_text: "{sender} convida você para a equipe {team} em {site}. O link funciona uma única vez, durante 48 horas.",
        invite_button: "Entrar em {team}",
        direct_subject: "[{site}] Nova mensagem direta de {sender}",
        mention_subject: "[{site}] {sender} mencionou você em {place}",
        reply_subject: "[{site}] {sender} respondeu em uma conversa em {place}",
        generic_subject: "[{site}] Nova notificação",
        several_subject: "[{site}] {count} novas notificações",
        direct_line: "{sender} enviou uma mensagem direta para você",
        mention_line: "{sender} mencionou você em {place}",
        reply_line: "{sender} respondeu em uma conversa que você segue em {place}",
        files: "Arquivos: {names}",
        read_button: "Ler a mensagem",
        why: "Você recebe e-mails sobre mensagens enquanto está ausente. Você pode mudar isso nas configurações de notificação da sua conta.",
        test_subject: "[{site}] E-mail de teste",
        test_text: "Este é um e-mail de teste. {site} consegue enviar e-mails.",
    };
}
