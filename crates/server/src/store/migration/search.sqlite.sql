-- The index of the search. PostgreSQL has Mattermost's own text indexes instead (indexes.postgres.sql).

-- The posts that a search can find. The number is the time of the post, times 4096, so that the index is read from the
-- newest to the oldest. A rowid of `posts` would not do: `vacuum` may change it.
create table if not exists mainstaysearchedposts (
    number integer primary key not null,
    postid varchar(26) unique not null,
    hascjk boolean not null
);

create index if not exists idx_mainstaysearchedposts_cjk on mainstaysearchedposts (number) where hascjk;

create view if not exists mainstaysearchtexts as
    select s.number as number, p.message as message, p.hashtags as hashtags
    from mainstaysearchedposts s join posts p on p.id = s.postid;

create virtual table if not exists mainstaypostsearch using fts5(
    message, hashtags, content = 'mainstaysearchtexts', content_rowid = 'number', columnsize = 0,
    tokenize = 'porter unicode61 remove_diacritics 0'
);

create trigger if not exists mainstay_search_indexed after insert on mainstaysearchedposts begin
    insert into mainstaypostsearch (rowid, message, hashtags)
    select new.number, message, hashtags from posts where id = new.postid;
end;

-- The number is the first free one from the time of the post on.
create trigger if not exists mainstay_search_added after insert on posts
when new.originalid = '' and new.deleteat = 0 and substr(new.type, 1, 7) <> 'system_' begin
    insert into mainstaysearchedposts (number, postid, hascjk)
    select case when exists (select 1 from mainstaysearchedposts where number = base) then (
            select taken.number + 1 from mainstaysearchedposts taken where taken.number >= base
            and not exists (select 1 from mainstaysearchedposts next where next.number = taken.number + 1)
            order by taken.number limit 1
        ) else base end, new.id, new.message glob '*[ぁ-ヿ㐀-䶿一-鿿가-힯]*'
    from (select min(max(new.createat, 0), 1125899906842624) * 4096 as base);
end;

create trigger if not exists mainstay_search_changed after update of message, hashtags on posts
when old.message is not new.message or old.hashtags is not new.hashtags begin
    insert into mainstaypostsearch (mainstaypostsearch, rowid, message, hashtags)
    select 'delete', number, old.message, old.hashtags from mainstaysearchedposts where postid = new.id;
    insert into mainstaypostsearch (rowid, message, hashtags)
    select number, new.message, new.hashtags from mainstaysearchedposts where postid = new.id;
    update mainstaysearchedposts set hascjk = new.message glob '*[ぁ-ヿ㐀-䶿一-鿿가-힯]*' where postid = new.id;
end;

create trigger if not exists mainstay_search_hidden after update of deleteat on posts
when new.deleteat <> 0 begin
    insert into mainstaypostsearch (mainstaypostsearch, rowid, message, hashtags)
    select 'delete', number, new.message, new.hashtags from mainstaysearchedposts where postid = new.id;
    delete from mainstaysearchedposts where postid = new.id;
end;

create trigger if not exists mainstay_search_erased after delete on posts begin
    insert into mainstaypostsearch (mainstaypostsearch, rowid, message, hashtags)
    select 'delete', number, old.message, old.hashtags from mainstaysearchedposts where postid = old.id;
    delete from mainstaysearchedposts where postid = old.id;
end;

-- The posts that were stored before there was an index. Each number is larger than the one before.
insert into mainstaysearchedposts (number, postid, hascjk)
select place + max(base - place) over (order by place), id, message glob '*[ぁ-ヿ㐀-䶿一-鿿가-힯]*'
from (
    select id, message, base, row_number() over (order by base, id) as place
    from (select id, message, min(max(createat, 0), 1125899906842624) * 4096 as base from posts
        where originalid = '' and deleteat = 0 and substr(type, 1, 7) <> 'system_')
) where not exists (select 1 from mainstaysearchedposts);
