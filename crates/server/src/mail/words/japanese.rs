//! The words in Japanese.

use super::Words;

impl Words {
    pub(crate) const JAPANESE: Words = Words {
        language: "ja",
        footer: "このメールは {site} から送信されました: {url}",
        help: "お問い合わせ先: {address}",
        hello: "{name} さん",
        verify_subject: "[{site}] メールアドレスの確認",
        verify_text: "{address} があなたのアドレスであることを確認してください。リンクは24時間以内に1回だけ使えます。",
        verify_button: "アドレスを確認する",
        welcome_subject: "[{site}] ようこそ",
        welcome_text: "{site} のアカウントが作成されました。ユーザー名は {name} です。",
        open_button: "{site} を開く",
        reset_subject: "[{site}] 新しいパスワードの設定",
        reset_text: "アカウント {name} の新しいパスワードが要求されました。リンクは24時間以内に1回だけ使えます。心当たりがない場合は、このメールを無視してください。パスワードは変わりません。",
        reset_button: "新しいパスワードを設定する",
        password_subject: "[{site}] パスワードが変更されました",
        password_text: "アカウント {name} のパスワードが変更されました。心当たりがない場合は、すぐに管理者へ連絡してください。",
        address_subject: "[{site}] メールアドレスが変更されました",
        address_text: "アカウント {name} のアドレスは {address} になりました。心当たりがない場合は、すぐに管理者へ連絡してください。",
        deactivated_subject: "[{site}] アカウントが無効になりました",
        deactivated_text: "アカウント {name} が無効になりました。心当たりがない場合や、元に戻したい場合は、管理者へ連絡してください。",
        invite_subject: "[{site}] {sender} さんからチーム {team} への招待",
        invite_text: "{sender} さんが {site} のチーム {team} に招待しています。リンクは48時間以内に1回だけ使えます。",
        invite_button: "{team} に参加する",
        direct_subject: "[{site}] {sender} さんからの新しいダイレクトメッセージ",
        mention_subject: "[{site}] {sender} さんが {place} であなたにメンションしました",
        reply_subject: "[{site}] {sender} さんが {place} のスレッドに返信しました",
        generic_subject: "[{site}] 新しい通知",
        several_subject: "[{site}] {count} 件の新しい通知",
        direct_line: "{sender} さんからダイレクトメッセージが届きました",
        mention_line: "{sender} さんが {place} であなたにメンションしました",
        reply_line: "{sender} さんが {place} のフォロー中のスレッドに返信しました",
        files: "ファイル: {names}",
        read_button: "メッセージを読む",
        why: "不在の間、メッセージについてのメールが届きます。アカウントの通知設定で変更できます。",
        test_subject: "[{site}] テストメール",
        test_text: "これはテストメールです。{site} はメールを送信できます。",
    };
}
