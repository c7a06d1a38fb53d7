-- beat is counted up by the replica that leads, so that others notice a database that was put back to an earlier state.

alter table schema add column beat bigint not null default 0;
