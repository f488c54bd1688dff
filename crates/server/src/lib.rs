//! The built-in server: Mattermost's API v4 and websocket on a real database, with a small web client
