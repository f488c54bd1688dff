-- Mattermost's tables, with its names and column types in lower case, so that on PostgreSQL the official server takes
-- them over. SQLite reads the types as affinities and does not enforce the lengths: the API does.
-- There is no db_migrations table on purpose: its absence tells the official server to adopt what it finds.

CREATE TABLE IF NOT EXISTS users (
    id varchar(26) PRIMARY KEY NOT NULL,
    createat bigint, updateat bigint, deleteat bigint,
    username varchar(64) UNIQUE,
    password varchar(128),
    authdata varchar(128) UNIQUE,
    authservice varchar(32),
    email varchar(128) UNIQUE,
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
    lastlogin bigint NOT NULL DEFAULT 0,
    mfausedtimestamps jsonb
);

CREATE TABLE IF NOT EXISTS teams (
    id varchar(26) PRIMARY KEY NOT NULL,
    createat bigint, updateat bigint, deleteat bigint,
    displayname varchar(64),
    name varchar(64) UNIQUE,
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
    cloudlimitsarchived boolean NOT NULL DEFAULT false
);

CREATE TABLE IF NOT EXISTS teammembers (
    teamid varchar(26) NOT NULL,
    userid varchar(26) NOT NULL,
    roles varchar(256),
    deleteat bigint,
    schemeuser boolean, schemeadmin boolean, schemeguest boolean,
    createat bigint DEFAULT 0,
    PRIMARY KEY (teamid, userid)
);

CREATE TABLE IF NOT EXISTS channels (
    id varchar(26) PRIMARY KEY NOT NULL,
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
    lastrootpostat bigint DEFAULT 0,
    bannerinfo jsonb,
    defaultcategoryname varchar(64) NOT NULL DEFAULT '',
    autotranslation boolean NOT NULL DEFAULT false,
    UNIQUE (name, teamid)
);

-- The public channels once more: what listings and searches read.
CREATE TABLE IF NOT EXISTS publicchannels (
    id varchar(26) PRIMARY KEY NOT NULL,
    deleteat bigint,
    teamid varchar(26),
    displayname varchar(64),
    name varchar(64),
    header varchar(1024),
    purpose varchar(250),
    UNIQUE (name, teamid)
);

CREATE TABLE IF NOT EXISTS channelmembers (
    channelid varchar(26) NOT NULL,
    userid varchar(26) NOT NULL,
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
    autotranslation boolean NOT NULL DEFAULT false,
    autotranslationdisabled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (channelid, userid)
);

CREATE TABLE IF NOT EXISTS channelmemberhistory (
    channelid varchar(26) NOT NULL,
    userid varchar(26) NOT NULL,
    jointime bigint NOT NULL,
    leavetime bigint,
    PRIMARY KEY (channelid, userid, jointime)
);

CREATE TABLE IF NOT EXISTS posts (
    id varchar(26) PRIMARY KEY NOT NULL,
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

CREATE TABLE IF NOT EXISTS threads (
    postid varchar(26) PRIMARY KEY NOT NULL,
    replycount bigint,
    lastreplyat bigint,
    participants jsonb,
    channelid varchar(26),
    threaddeleteat bigint,
    threadteamid varchar(26)
);

CREATE TABLE IF NOT EXISTS threadmemberships (
    postid varchar(26) NOT NULL,
    userid varchar(26) NOT NULL,
    following boolean,
    lastviewed bigint,
    lastupdated bigint,
    unreadmentions bigint,
    PRIMARY KEY (postid, userid)
);

CREATE TABLE IF NOT EXISTS reactions (
    userid varchar(26) NOT NULL,
    postid varchar(26) NOT NULL,
    emojiname varchar(64) NOT NULL,
    createat bigint, updateat bigint, deleteat bigint,
    remoteid varchar(26),
    channelid varchar(26) NOT NULL DEFAULT '',
    PRIMARY KEY (postid, userid, emojiname)
);

CREATE TABLE IF NOT EXISTS fileinfo (
    id varchar(26) PRIMARY KEY NOT NULL,
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
    archived boolean NOT NULL DEFAULT false,
    channelid varchar(26)
);

CREATE TABLE IF NOT EXISTS sessions (
    id varchar(26) PRIMARY KEY NOT NULL,
    token varchar(26),
    createat bigint, expiresat bigint, lastactivityat bigint,
    userid varchar(26),
    deviceid varchar(512),
    roles varchar(256),
    isoauth boolean,
    props jsonb,
    expirednotify boolean
);

CREATE TABLE IF NOT EXISTS preferences (
    userid varchar(26) NOT NULL,
    category varchar(32) NOT NULL,
    name varchar(32) NOT NULL,
    value text,
    PRIMARY KEY (userid, category, name)
);

CREATE TABLE IF NOT EXISTS systems (
    name varchar(64) PRIMARY KEY NOT NULL,
    value varchar(1024)
);

CREATE TABLE IF NOT EXISTS roles (
    id varchar(26) PRIMARY KEY NOT NULL,
    name varchar(64) UNIQUE,
    displayname varchar(128),
    description varchar(1024),
    createat bigint, updateat bigint, deleteat bigint,
    permissions text,
    schememanaged boolean,
    builtin boolean,
    schemeid varchar(26)
);

CREATE TABLE IF NOT EXISTS status (
    userid varchar(26) PRIMARY KEY NOT NULL,
    status varchar(32),
    manual boolean,
    lastactivityat bigint,
    dndendtime bigint,
    prevstatus varchar(32)
);

CREATE TABLE IF NOT EXISTS tokens (
    token varchar(64) PRIMARY KEY NOT NULL,
    createat bigint,
    type varchar(64),
    extra varchar(2048)
);

CREATE TABLE IF NOT EXISTS sidebarcategories (
    id varchar(128) PRIMARY KEY NOT NULL,
    userid varchar(26),
    teamid varchar(26),
    sortorder bigint,
    sorting varchar(64),
    type varchar(64),
    displayname varchar(64),
    muted boolean,
    collapsed boolean
);

CREATE TABLE IF NOT EXISTS sidebarchannels (
    channelid varchar(26) NOT NULL,
    userid varchar(26) NOT NULL,
    categoryid varchar(128) NOT NULL,
    sortorder bigint,
    PRIMARY KEY (channelid, userid, categoryid)
);

CREATE TABLE IF NOT EXISTS drafts (
    createat bigint, updateat bigint, deleteat bigint,
    userid varchar(26) NOT NULL,
    channelid varchar(26) NOT NULL,
    rootid varchar(26) NOT NULL DEFAULT '',
    message varchar(65535),
    props varchar(8000),
    fileids varchar(300),
    priority text,
    type text,
    PRIMARY KEY (userid, channelid, rootid)
);

CREATE TABLE IF NOT EXISTS audits (
    id varchar(26) PRIMARY KEY NOT NULL,
    createat bigint,
    userid varchar(26),
    action varchar(512),
    extrainfo varchar(1024),
    ipaddress varchar(64),
    sessionid varchar(26)
);
