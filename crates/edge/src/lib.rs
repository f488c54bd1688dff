//! HTTP reverse proxy and websocket relay
