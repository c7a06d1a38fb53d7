-- Whether a client has a grant that has not ended is found by grants_of_client.

alter table grants drop column open_of_client;
