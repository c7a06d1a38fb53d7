-- A refresh family lives in the row of its grant, and its tokens name that grant. Tokens from before are not known
-- any more: whoever holds one signs in again.

drop table refresh_tokens;
drop table families;
