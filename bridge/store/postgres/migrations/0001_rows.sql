-- One table for each kind of row: its id, its sealed record, and what indexes sort and find by.
-- Times are nanoseconds since 1970; what is found by is a keyed hash. Nothing here shows what a row says.

create table audit (id bytea primary key, record bytea not null, due bigint, of_grant bytea);
create index audit_due on audit (due);
create index audit_of_grant on audit (of_grant, id) where of_grant is not null;

create table clients (id bytea primary key, record bytea not null, due bigint);
create index clients_due on clients (due) where due is not null;

create table codes (id bytea primary key, record bytea not null, due bigint);
create index codes_due on codes (due);

create table consents (id bytea primary key, record bytea not null, due bigint);
create index consents_due on consents (due);

create table counters (id bytea primary key, record bytea not null, due bigint) with (fillfactor = 70);
create index counters_due on counters (due);

create table families (id bytea primary key, record bytea not null) with (fillfactor = 70);

create table flows (id bytea primary key, record bytea not null, due bigint, session_until bigint);
create index flows_due on flows (due);
create index flows_session on flows (session_until, id) where session_until is not null;

-- changed is the transaction that changed the row last: how a replica finds what others changed.
create table grants (
	id bytea primary key, record bytea not null, due bigint,
	created bigint, of_person bytea, of_client bytea, open_of_client bytea, lapses bigint,
	open_of_link bytea, open_of_identity bytea,
	changed xid8 not null default pg_current_xact_id()
) with (fillfactor = 70);
create index grants_due on grants (due) where due is not null;
create index grants_created on grants (created desc, id);
create index grants_of_person on grants (of_person, created desc, id);
create index grants_of_client on grants (of_client, created desc, id);
create index grants_open_of_client on grants (open_of_client, id) where open_of_client is not null;
create index grants_lapses on grants (lapses, id) where lapses is not null;
create index grants_open_of_link on grants (open_of_link, id) where open_of_link is not null;
create index grants_open_of_identity on grants (open_of_identity, id) where open_of_identity is not null;
create index grants_changed on grants (changed);

create table identities (id bytea primary key, record bytea not null, due bigint, open_of_subject bytea, open_of_sid bytea);
create index identities_due on identities (due) where due is not null;
create index identities_open_of_subject on identities (open_of_subject, id) where open_of_subject is not null;
create index identities_open_of_sid on identities (open_of_sid, id) where open_of_sid is not null;

-- A person has one live link: two sign-ins at once must not make two.
create table links (id bytea primary key, record bytea not null, due bigint, created bigint, live_of_person bytea unique);
create index links_due on links (due) where due is not null;
create index links_created on links (created desc, id);

create table meta (id bytea primary key, record bytea not null);

create table refresh_tokens (id bytea primary key, record bytea not null, due bigint);
create index refresh_tokens_due on refresh_tokens (due);

create table revocations (id bytea primary key, record bytea not null, due_at bigint, of_person bytea);
create index revocations_due_at on revocations (due_at, id);
create index revocations_of_person on revocations (of_person, id);

create table used (id bytea primary key, record bytea not null, due bigint);
create index used_due on used (due);
