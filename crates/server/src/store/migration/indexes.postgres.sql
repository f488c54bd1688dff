-- Those of Mattermost's indexes that the built-in server uses, with Mattermost's names and definitions. The official
-- server adds the others.

create index if not exists idx_teams_invite_id on teams (inviteid);
create index if not exists idx_teammembers_user_id on teammembers (userid);
create index if not exists idx_channels_team_id_display_name on channels (teamid, displayname);
create index if not exists idx_publicchannels_team_id on publicchannels (teamid);
create index if not exists idx_channelmembers_user_id_channel_id_last_viewed_at
    on channelmembers (userid, channelid, lastviewedat);
create index if not exists idx_posts_channel_id_delete_at_create_at on posts (channelid, deleteat, createat);
create index if not exists idx_posts_root_id_delete_at on posts (rootid, deleteat);
create index if not exists idx_posts_channel_id_update_at on posts (channelid, updateat);
create index if not exists idx_threads_channel_id_last_reply_at on threads (channelid, lastreplyat);
create index if not exists idx_thread_memberships_user_id on threadmemberships (userid);
create index if not exists idx_fileinfo_postid_at on fileinfo (postid);
create index if not exists idx_fileinfo_channel_id_create_at on fileinfo (channelid, createat);
create index if not exists idx_sessions_token on sessions (token);
create index if not exists idx_sessions_user_id on sessions (userid);
create index if not exists idx_sidebarcategories_userid_teamid on sidebarcategories (userid, teamid);
create index if not exists idx_incoming_webhook_team_id on incomingwebhooks (teamid);
create index if not exists idx_outgoing_webhook_team_id on outgoingwebhooks (teamid);
create index if not exists idx_command_team_id on commands (teamid);
create index if not exists idx_command_webhook_create_at on commandwebhooks (createat);
-- For the search, and for its results from the newest to the oldest.
create index if not exists idx_posts_create_at on posts (createat);
create index if not exists idx_posts_message_txt on posts using gin (to_tsvector('english', message));
create index if not exists idx_posts_hashtags_txt on posts using gin (to_tsvector('english', hashtags));
