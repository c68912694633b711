.mode csv
CREATE TABLE daylight (latitude REAL NOT NULL, day INTEGER NOT NULL, minutes INTEGER NOT NULL);
.import daylight.csv daylight
CREATE UNIQUE INDEX by_place_and_day ON daylight (latitude, day);
