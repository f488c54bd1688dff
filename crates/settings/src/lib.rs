//! The table of settings, mainstay.toml, config.json
