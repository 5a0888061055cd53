-- A file of version 1, made and filled by the last program that wrote that version: sqlite3 FILE .dump
BEGIN TRANSACTION;
CREATE TABLE detections (
    station TEXT NOT NULL, series TEXT NOT NULL, rule TEXT NOT NULL, t_ms INTEGER NOT NULL,
    level INTEGER NOT NULL, value REAL NOT NULL, threshold REAL NOT NULL,
    episode TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (station, series, rule, t_ms)
) WITHOUT ROWID;
INSERT INTO "detections" VALUES('lin-an-01','gauge/stage_m','stage',1723118400000,3,3.25,3.0,'episode-1',1);
CREATE TABLE events (
    station TEXT NOT NULL, what TEXT NOT NULL, device TEXT NOT NULL, t_ms INTEGER NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (station, what, device, t_ms)
) WITHOUT ROWID;
INSERT INTO "events" VALUES('lin-an-01','start','',1723118400000,'tocsin 0.1.0, rules r1');
CREATE TABLE readings (
    series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL,
    PRIMARY KEY (series_id, t_ms)
) WITHOUT ROWID;
INSERT INTO "readings" VALUES(1,1723118400000,2.5,0);
INSERT INTO "readings" VALUES(1,1723118401000,2.75,0);
CREATE TABLE series (
    id INTEGER PRIMARY KEY, station TEXT NOT NULL, device TEXT NOT NULL, quantity TEXT NOT NULL,
    UNIQUE (station, device, quantity)
);
INSERT INTO "series" VALUES(1,'lin-an-01','gauge','stage_m');
CREATE TABLE summaries (
    series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL, count INTEGER NOT NULL,
    low REAL NOT NULL, high REAL NOT NULL, mean REAL NOT NULL,
    PRIMARY KEY (series_id, t_ms)
) WITHOUT ROWID
;
COMMIT;
PRAGMA user_version = 1;
