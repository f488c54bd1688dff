//! Versions, unpacking, the release contract
