//! The words in Spanish.

use super::Words;

impl Words {
    pub(crate) const SPANISH: Words = Words {
        language: "es",
        footer: "Este correo fue enviado por {site}, {url}",
        help: "¿Preguntas? Escriba a {address}",
        hello: "Hola {name}:",
        verify_subject: "[{site}] Confirme su dirección de correo",
        verify_text: "Confirme que {address} es su dirección. El enlace sirve una sola vez, durante 24 horas.",
        verify_button: "Confirmar la dirección",
        welcome_subject: "[{site}] Bienvenida",
        welcome_text: "Ahora tiene una cuenta en {site}. Su nombre de usuario es {name}.",
        open_button: "Abrir {site}",
        reset_subject: "[{site}] Elija una contraseña nueva",
        reset_text: "Alguien pidió una contraseña nueva para su cuenta {name}. El enlace sirve una sola vez, durante 24 horas. Si no fue usted, ignore este correo: su contraseña no cambia.",
        reset_button: "Elegir una contraseña nueva",
        password_subject: "[{site}] Se cambió su contraseña",
        password_text: "Se cambió la contraseña de su cuenta {name}. Si no fue usted, avise enseguida a su administrador.",
        address_subject: "[{site}] Se cambió su dirección de correo",
        address_text: "La dirección de su cuenta {name} es ahora {address}. Si no fue usted, avise enseguida a su administrador.",
        deactivated_subject: "[{site}] Se desactivó su cuenta",
        deactivated_text: "Se desactivó su cuenta {name}. Si no fue usted, o para recuperarla, escriba a su administrador.",
        invite_subject: "[{site}] {sender} le invita al equipo {team}",
        invite_text: "{sender} le invita al equipo {team} en {site}. El enlace sirve una sola vez, durante 48 horas.",
        invite_button: "Unirse a {team}",
        direct_subject: "[{site}] Nuevo mensaje directo de {sender}",
        mention_subject: "[{site}] {sender} le mencionó en {place}",
        reply_subject: "[{site}] {sender} respondió en un hilo en {place}",
        generic_subject: "[{site}] Nueva notificación",
        several_subject: "[{site}] {count} notificaciones nuevas",
        direct_line: "{sender} le envió un mensaje directo",
        mention_line: "{sender} le mencionó en {place}",
        reply_line: "{sender} respondió en un hilo que usted sigue en {place}",
        files: "Archivos: {names}",
        read_button: "Leer el mensaje",
        why: "Recibe correos sobre mensajes mientras está ausente. Puede cambiarlo en los ajustes de notificación de su cuenta.",
        test_subject: "[{site}] Correo de prueba",
        test_text: "Este es un correo de prueba. {site} puede enviar correos.",
    };
}
