//! Steps, journal, undo, events: knows nothing of Mattermost
