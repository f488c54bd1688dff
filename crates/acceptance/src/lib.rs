//! The deployment program's tests over REST, websocket and a real browser
