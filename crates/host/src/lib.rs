//! Processes, users, ports, disk
