-- What is read by more than its key.

CREATE INDEX IF NOT EXISTS idx_teams_invite_id ON teams (inviteid);
CREATE INDEX IF NOT EXISTS idx_teammembers_user_id ON teammembers (userid);
CREATE INDEX IF NOT EXISTS idx_channels_team_id_display_name ON channels (teamid, displayname);
CREATE INDEX IF NOT EXISTS idx_publicchannels_team_id ON publicchannels (teamid);
CREATE INDEX IF NOT EXISTS idx_channelmembers_user_id ON channelmembers (userid, channelid);
CREATE INDEX IF NOT EXISTS idx_posts_channel_id_delete_at_create_at ON posts (channelid, deleteat, createat);
CREATE INDEX IF NOT EXISTS idx_posts_root_id_delete_at ON posts (rootid, deleteat) WHERE rootid <> '';
CREATE INDEX IF NOT EXISTS idx_posts_is_pinned ON posts (channelid) WHERE ispinned;
CREATE INDEX IF NOT EXISTS idx_posts_original_id ON posts (originalid) WHERE originalid <> '';
CREATE INDEX IF NOT EXISTS idx_threads_channel_id_last_reply_at ON threads (channelid, lastreplyat);
CREATE INDEX IF NOT EXISTS idx_threadmemberships_user_id ON threadmemberships (userid);
CREATE INDEX IF NOT EXISTS idx_fileinfo_postid_at ON fileinfo (postid);
CREATE INDEX IF NOT EXISTS idx_fileinfo_channel_id_create_at ON fileinfo (channelid, createat);
CREATE INDEX IF NOT EXISTS idx_sessions_token ON sessions (token);
CREATE INDEX IF NOT EXISTS idx_sessions_user_id ON sessions (userid);
CREATE INDEX IF NOT EXISTS idx_sidebarcategories_userid_teamid ON sidebarcategories (userid, teamid);
