-- PostgreSQL only: what rows are found by is compared byte by byte, as SQLite and
-- the program do. By the rules of a language an index takes three times as long to
-- be made, and another version of the C library may order it in another way.
ALTER TABLE site DROP CONSTRAINT IF EXISTS site_entity;
ALTER TABLE entity ALTER number TYPE TEXT COLLATE "C";
ALTER TABLE site ALTER key TYPE TEXT COLLATE "C", ALTER number TYPE TEXT COLLATE "C", ALTER entity_number TYPE TEXT COLLATE "C", ALTER addr TYPE TEXT COLLATE "C";
ALTER TABLE site ADD CONSTRAINT site_entity FOREIGN KEY (entity_number) REFERENCES entity (number);
ALTER TABLE domain ALTER name TYPE TEXT COLLATE "C", ALTER gov TYPE TEXT COLLATE "C";
ALTER TABLE access ALTER provider TYPE TEXT COLLATE "C";
ALTER TABLE past ALTER key TYPE TEXT COLLATE "C";
ALTER TABLE past_name ALTER name TYPE TEXT COLLATE "C", ALTER key TYPE TEXT COLLATE "C";
ALTER TABLE blacklist ALTER name TYPE TEXT COLLATE "C";
ALTER TABLE exemption ALTER name TYPE TEXT COLLATE "C";
ALTER TABLE psb ALTER name TYPE TEXT COLLATE "C";
ALTER TABLE journal ALTER key TYPE TEXT COLLATE "C";
ALTER TABLE sighting ALTER name TYPE TEXT COLLATE "C";
