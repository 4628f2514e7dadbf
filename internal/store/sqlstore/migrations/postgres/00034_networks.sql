-- +goose Up
SET LOCAL tollgate.account = '*';

-- ip_address may be a network, as 192.0.2.0/24. first_address is its first address, or the
-- address itself, as 32 hexadecimal digits of its IPv6 form, so that what lies within a
-- network is a range of an index. It is empty in rows from before, which are addresses
-- and found by ip_address.
ALTER TABLE ips ADD COLUMN first_address TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX ips_first_address ON ips (first_address);
