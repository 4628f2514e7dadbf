-- +goose Up

-- Where the caller's number belongs, as country and number_type say it of the called
-- one: '' when the caller is no valid number, NULL in records of before these columns.
ALTER TABLE call_records ADD COLUMN source_country TEXT COLLATE "C";
ALTER TABLE call_records ADD COLUMN source_number_type TEXT COLLATE "C";
