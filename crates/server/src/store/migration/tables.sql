-- Mattermost's tables, with its names and column types in lower case, so that the official server can take over a
-- PostgreSQL database. SQLite uses the types as affinities and does not enforce the lengths; the API checks them.
-- There is no db_migrations table on purpose: without it, the official server keeps the existing tables.

create table if not exists users (
    id varchar(26) primary key not null,
    createat bigint, updateat bigint, deleteat bigint,
    username varchar(64) unique,
    password varchar(128),
    authdata varchar(128) unique,
    authservice varchar(32),
    email varchar(128) unique,
    emailverified boolean,
    nickname varchar(64), firstname varchar(64), lastname varchar(64),
    roles varchar(256),
    allowmarketing boolean,
    props jsonb, notifyprops jsonb,
    lastpasswordupdate bigint, lastpictureupdate bigint,
    failedattempts integer,
    locale varchar(5),
    mfaactive boolean, mfasecret varchar(128),
    position varchar(128),
    timezone jsonb,
    remoteid varchar(26),
    lastlogin bigint not null default 0,
    mfausedtimestamps jsonb
);

create table if not exists teams (
    id varchar(26) primary key not null,
    createat bigint, updateat bigint, deleteat bigint,
    displayname varchar(64),
    name varchar(64) unique,
    description varchar(255),
    email varchar(128),
    type team_type,
    companyname varchar(64),
    alloweddomains varchar(1000),
    inviteid varchar(32),
    schemeid varchar(26),
    allowopeninvite boolean,
    lastteamiconupdate bigint,
    groupconstrained boolean,
    cloudlimitsarchived boolean not null default false
);

create table if not exists teammembers (
    teamid varchar(26) not null,
    userid varchar(26) not null,
    roles varchar(256),
    deleteat bigint,
    schemeuser boolean, schemeadmin boolean, schemeguest boolean,
    createat bigint default 0,
    primary key (teamid, userid)
);

create table if not exists channels (
    id varchar(26) primary key not null,
    createat bigint, updateat bigint, deleteat bigint,
    teamid varchar(26),
    type channel_type,
    displayname varchar(64),
    name varchar(64),
    header varchar(1024),
    purpose varchar(250),
    lastpostat bigint,
    totalmsgcount bigint,
    extraupdateat bigint,
    creatorid varchar(26),
    schemeid varchar(26),
    groupconstrained boolean,
    shared boolean,
    totalmsgcountroot bigint,
    lastrootpostat bigint default 0,
    bannerinfo jsonb,
    defaultcategoryname varchar(64) not null default '',
    autotranslation boolean not null default false,
    unique (name, teamid)
);

-- A copy of the public channels, for listing and searching them.
create table if not exists publicchannels (
    id varchar(26) primary key not null,
    deleteat bigint,
    teamid varchar(26),
    displayname varchar(64),
    name varchar(64),
    header varchar(1024),
    purpose varchar(250),
    unique (name, teamid)
);

create table if not exists channelmembers (
    channelid varchar(26) not null,
    userid varchar(26) not null,
    roles varchar(256),
    lastviewedat bigint,
    msgcount bigint,
    mentioncount bigint,
    notifyprops jsonb,
    lastupdateat bigint,
    schemeuser boolean, schemeadmin boolean, schemeguest boolean,
    mentioncountroot bigint,
    msgcountroot bigint,
    urgentmentioncount bigint,
    autotranslation boolean not null default false,
    autotranslationdisabled boolean not null default false,
    primary key (channelid, userid)
);

create table if not exists channelmemberhistory (
    channelid varchar(26) not null,
    userid varchar(26) not null,
    jointime bigint not null,
    leavetime bigint,
    primary key (channelid, userid, jointime)
);

create table if not exists posts (
    id varchar(26) primary key not null,
    createat bigint, updateat bigint, deleteat bigint,
    userid varchar(26),
    channelid varchar(26),
    rootid varchar(26),
    originalid varchar(26),
    message varchar(65535),
    type varchar(26),
    props jsonb,
    hashtags varchar(1000),
    filenames varchar(4000),
    fileids varchar(300),
    hasreactions boolean,
    editat bigint,
    ispinned boolean,
    remoteid varchar(26)
);

create table if not exists threads (
    postid varchar(26) primary key not null,
    replycount bigint,
    lastreplyat bigint,
    participants jsonb,
    channelid varchar(26),
    threaddeleteat bigint,
    threadteamid varchar(26)
);

create table if not exists threadmemberships (
    postid varchar(26) not null,
    userid varchar(26) not null,
    following boolean,
    lastviewed bigint,
    lastupdated bigint,
    unreadmentions bigint,
    primary key (postid, userid)
);

create table if not exists reactions (
    userid varchar(26) not null,
    postid varchar(26) not null,
    emojiname varchar(64) not null,
    createat bigint, updateat bigint, deleteat bigint,
    remoteid varchar(26),
    channelid varchar(26) not null default '',
    primary key (postid, userid, emojiname)
);

create table if not exists fileinfo (
    id varchar(26) primary key not null,
    creatorid varchar(26),
    postid varchar(26),
    createat bigint, updateat bigint, deleteat bigint,
    path varchar(512), thumbnailpath varchar(512), previewpath varchar(512),
    name varchar(256),
    extension varchar(64),
    size bigint,
    mimetype varchar(256),
    width integer, height integer,
    haspreviewimage boolean,
    minipreview bytea,
    content text,
    remoteid varchar(26),
    archived boolean not null default false,
    channelid varchar(26)
);

create table if not exists sessions (
    id varchar(26) primary key not null,
    token varchar(26),
    createat bigint, expiresat bigint, lastactivityat bigint,
    userid varchar(26),
    deviceid varchar(512),
    roles varchar(256),
    isoauth boolean,
    props jsonb,
    expirednotify boolean
);

create table if not exists preferences (
    userid varchar(26) not null,
    category varchar(32) not null,
    name varchar(32) not null,
    value text,
    primary key (userid, category, name)
);

create table if not exists systems (
    name varchar(64) primary key not null,
    value varchar(1024)
);

create table if not exists roles (
    id varchar(26) primary key not null,
    name varchar(64) unique,
    displayname varchar(128),
    description varchar(1024),
    createat bigint, updateat bigint, deleteat bigint,
    permissions text,
    schememanaged boolean,
    builtin boolean,
    schemeid varchar(26)
);

create table if not exists status (
    userid varchar(26) primary key not null,
    status varchar(32),
    manual boolean,
    lastactivityat bigint,
    dndendtime bigint,
    prevstatus varchar(32)
);

create table if not exists tokens (
    token varchar(64) primary key not null,
    createat bigint,
    type varchar(64),
    extra varchar(2048)
);

create table if not exists sidebarcategories (
    id varchar(128) primary key not null,
    userid varchar(26),
    teamid varchar(26),
    sortorder bigint,
    sorting varchar(64),
    type varchar(64),
    displayname varchar(64),
    muted boolean,
    collapsed boolean
);

create table if not exists sidebarchannels (
    channelid varchar(26) not null,
    userid varchar(26) not null,
    categoryid varchar(128) not null,
    sortorder bigint,
    primary key (channelid, userid, categoryid)
);

create table if not exists drafts (
    createat bigint, updateat bigint, deleteat bigint,
    userid varchar(26) not null,
    channelid varchar(26) not null,
    rootid varchar(26) not null default '',
    message varchar(65535),
    props varchar(8000),
    fileids varchar(300),
    priority text,
    type text,
    primary key (userid, channelid, rootid)
);

create table if not exists audits (
    id varchar(26) primary key not null,
    createat bigint,
    userid varchar(26),
    action varchar(512),
    extrainfo varchar(1024),
    ipaddress varchar(64),
    sessionid varchar(26)
);

create table if not exists useraccesstokens (
    id varchar(26) primary key not null,
    token varchar(26) unique not null,
    userid varchar(26) not null,
    description varchar(512),
    isactive boolean
);

create table if not exists incomingwebhooks (
    id varchar(26) primary key not null,
    createat bigint, updateat bigint, deleteat bigint,
    userid varchar(26),
    channelid varchar(26),
    teamid varchar(26),
    displayname varchar(64),
    description varchar(500),
    username varchar(255),
    iconurl varchar(1024),
    channellocked boolean
);

create table if not exists outgoingwebhooks (
    id varchar(26) primary key not null,
    token varchar(26),
    createat bigint, updateat bigint, deleteat bigint,
    creatorid varchar(26),
    channelid varchar(26),
    teamid varchar(26),
    triggerwords varchar(1024),
    callbackurls varchar(1024),
    displayname varchar(64),
    contenttype varchar(128),
    triggerwhen integer,
    username varchar(64),
    iconurl varchar(1024),
    description varchar(500)
);

create table if not exists commands (
    id varchar(26) primary key not null,
    token varchar(26),
    createat bigint, updateat bigint, deleteat bigint,
    creatorid varchar(26),
    teamid varchar(26),
    trigger varchar(128),
    method varchar(1),
    username varchar(64),
    iconurl varchar(1024),
    autocomplete boolean,
    autocompletedesc varchar(1024),
    autocompletehint varchar(1024),
    displayname varchar(64),
    description varchar(128),
    url varchar(1024),
    pluginid varchar(190)
);

create table if not exists commandwebhooks (
    id varchar(26) primary key not null,
    createat bigint,
    commandid varchar(26),
    userid varchar(26),
    channelid varchar(26),
    rootid varchar(26),
    usecount integer
);

-- Our own: Mattermost counts failed logins per account only, which lets anybody lock out anybody.
create table if not exists mainstayloginattempts (
    userid varchar(26) not null,
    origin varchar(64) not null,
    failures bigint not null default 0,
    lastfailureat bigint not null default 0,
    lastsuccessat bigint not null default 0,
    primary key (userid, origin)
);
