-- A file of version 2, made and filled by the last program that wrote that version: sqlite3 FILE .dump
BEGIN TRANSACTION;
CREATE TABLE answers_zh (command TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE commands (
    id TEXT PRIMARY KEY, station TEXT NOT NULL, who TEXT NOT NULL, ask TEXT NOT NULL, body BLOB NOT NULL,
    issued INTEGER NOT NULL, expires INTEGER NOT NULL, stamp INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waits' CHECK (state IN ('waits', 'sent', 'done', 'refused', 'expired')),
    answered INTEGER NOT NULL DEFAULT 0, said TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE cursors (reader TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "cursors" VALUES('forwarder',2);
CREATE TABLE enrolled (station TEXT PRIMARY KEY, key TEXT NOT NULL, t INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE episodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    station TEXT NOT NULL, series TEXT NOT NULL, rule TEXT NOT NULL, episode TEXT NOT NULL,
    warning TEXT NOT NULL, area TEXT NOT NULL, hazard TEXT NOT NULL, level INTEGER NOT NULL, peak INTEGER NOT NULL,
    since INTEGER NOT NULL, cleared INTEGER NOT NULL, state TEXT NOT NULL,
    UNIQUE (station, series, rule, episode)
);
INSERT INTO "episodes" VALUES(1,'upper-bridge','radar/stage_m','stage','e1','flood-20240808-55f9b75bb526','330112100201','flood',3,3,1723096800000,0,'{"id":"e1","station":"upper-bridge","series":"radar/stage_m","rule":"stage","level":3,"revision":1,"stage":"prepare","since":1723096800000,"changed_at":1723096800000,"value":2.35,"threshold":2.0,"over_s":0,"authority":"auto","historic":false,"place":"Upper Bridge","place_zh":"上桥","latitude":30.2561,"longitude":119.7262,"feature":"value","target":null,"hold_s":0.0,"asked_at":0,"consent":"none","boot":"00000000000000aa","shelved":false,"group":null,"stands":0,"stands_stage":"watch"}');
INSERT INTO "episodes" VALUES(2,'mill-creek','radar/stage_m','stage','e1','flood-20240808-55f9b75bb526','330112100201','flood',3,3,1723096800000,0,'{"id":"e1","station":"mill-creek","series":"radar/stage_m","rule":"stage","level":3,"revision":1,"stage":"prepare","since":1723096800000,"changed_at":1723096800000,"value":2.35,"threshold":2.0,"over_s":0,"authority":"auto","historic":false,"place":"Mill Creek","place_zh":"磨坊溪","latitude":30.2702,"longitude":119.7401,"feature":"value","target":null,"hold_s":0.0,"asked_at":0,"consent":"none","boot":"00000000000000aa","shelved":false,"group":null,"stands":0,"stands_stage":"watch"}');
INSERT INTO "episodes" VALUES(3,'upper-bridge','radar/stage_m','rise','e1','flood-20240808-55f9b75bb526','330112100201','flood',3,3,1723096800000,0,'{"id":"e1","station":"upper-bridge","series":"radar/stage_m","rule":"rise","level":3,"revision":1,"stage":"prepare","since":1723096800000,"changed_at":1723096800000,"value":2.35,"threshold":2.0,"over_s":0,"authority":"auto","historic":false,"place":"Upper Bridge","place_zh":"上桥","latitude":30.2561,"longitude":119.7262,"feature":"value","target":null,"hold_s":0.0,"asked_at":0,"consent":"none","boot":"00000000000000aa","shelved":false,"group":null,"stands":0,"stands_stage":"watch"}');
CREATE TABLE group_bases (
    id INTEGER PRIMARY KEY AUTOINCREMENT, after INTEGER NOT NULL, t INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE group_inputs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, after INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE group_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, after INTEGER NOT NULL, t INTEGER NOT NULL, body TEXT NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE group_parts (
    part TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (part, name)
) WITHOUT ROWID;
CREATE TABLE group_rebuilds (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE group_state (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
CREATE TABLE heights (station TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "heights" VALUES('lin-an-01',4);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    t INTEGER NOT NULL, warning TEXT NOT NULL, why TEXT NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL DEFAULT ''
);
INSERT INTO "journal" VALUES(1,1723118400000,'w1','first detection','{}','');
CREATE TABLE landing (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    station TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL,
    arrived INTEGER NOT NULL, raw BLOB NOT NULL,
    t_first INTEGER, t_last INTEGER, shifts TEXT NOT NULL DEFAULT '',
    UNIQUE (station, boot, seq, digest)
);
INSERT INTO "landing" VALUES(1,'lin-an-01','00000000000000a1',1,'start','fc9f8ebad6d3d92a',1723118405000,X'7B226B696E64223A227374617274222C22626F6F74223A2230303030303030303030303030306131222C22736571223A312C2274223A313732333131383430303030302C2276657273696F6E223A22302E312E30222C2263617264223A7B226E616D65223A2253746F6E6520427269646765222C226E616D655F7A68223A22E79FB3E6A1A5222C2261726561223A22333330313132303031303033222C226C61746974756465223A33302E32352C226C6F6E676974756465223A3131392E37352C22736572696573223A5B7B226B6579223A2267617567652F73746167655F6D222C227175616E74697479223A2273746167655F6D222C22706572696F645F73223A352E302C22706C61757369626C65223A5B2D312E302C32302E305D2C22646174756D223A22227D5D2C2272756C6573223A5B7B226E616D65223A227374616765222C22736572696573223A2267617567652F73746167655F6D222C227175616E74697479223A2273746167655F6D222C2268617A617264223A22666C6F6F64222C226C6576656C73223A7B226F72616E6765223A332E307D2C226F7665725F73223A302C226C6F77223A66616C73652C2266656174757265223A2276616C7565222C22746172676574223A6E756C6C7D5D2C2272756C65735F68617368223A227231227D2C22636865636B706F696E74223A307D',1723118400000,1723118400000,'');
INSERT INTO "landing" VALUES(2,'lin-an-01','00000000000000a1',2,'readings','9ea10b98308b0cfc',1723118405000,X'7B226B696E64223A2272656164696E6773222C22626F6F74223A2230303030303030303030303030306131222C22736571223A322C2274223A5B313732333131383430303030302C313732333131383430313030305D2C22736572696573223A5B2267617567652F73746167655F6D222C2267617567652F73746167655F6D225D2C2276616C7565223A5B312E352C312E3632355D2C227175616C697479223A5B302C305D7D',1723118400000,1723118401000,'');
INSERT INTO "landing" VALUES(3,'lin-an-01','00000000000000a1',3,'detection','c5b552e2238dd441',1723118405000,X'7B226B696E64223A22646574656374696F6E222C22626F6F74223A2230303030303030303030303030306131222C22736571223A332C2274223A313732333131383430303030302C22736572696573223A2267617567652F73746167655F6D222C2272756C65223A227374616765222C2268617A617264223A22666C6F6F64222C226C6576656C223A332C2270726576696F7573223A302C227265766973696F6E223A312C22657069736F6465223A22657069736F64652D31222C2273696E6365223A313732333131383430303030302C227374616765223A2270726570617265222C22617574686F72697479223A226175746F222C2276616C7565223A332E32352C227468726573686F6C64223A332E302C226F7665725F73223A302C22686F6C645F73223A302E302C2266656174757265223A2276616C7565222C22746172676574223A6E756C6C2C227368656C766564223A66616C73657D',1723118400000,1723118400000,'');
INSERT INTO "landing" VALUES(4,'lin-an-01','00000000000000a1',4,'readings','8545f1c257a06078',1723118405000,X'7B226B696E64223A2272656164696E6773222C22626F6F74223A2230303030303030303030303030306131222C22736571223A342C2274223A5B313732333131383430303030302C313732333131383430313030305D2C22736572696573223A5B2267617567652F73746167655F6D222C2267617567652F73746167655F6D225D2C2276616C7565223A5B322E352C322E37355D2C227175616C697479223A5B302C305D7D',1723118400001,1723118401001,'{"0":1723118400001,"1":1723118401001}');
CREATE TABLE marks (
    station TEXT NOT NULL, series TEXT NOT NULL, t INTEGER NOT NULL, run_first INTEGER NOT NULL,
    run_end INTEGER NOT NULL, PRIMARY KEY (station, series)
) WITHOUT ROWID;
INSERT INTO "marks" VALUES('lin-an-01','detection
gauge/stage_m
stage',1723118400000,0,0);
INSERT INTO "marks" VALUES('lin-an-01','event
start
',1723118400000,0,0);
INSERT INTO "marks" VALUES('lin-an-01','gauge/stage_m',1723118401001,1723118401000,1723118401002);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('hub','00112233445566aa');
CREATE TABLE order_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    t INTEGER NOT NULL, station TEXT NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bulletin TEXT NOT NULL, channel TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0, receipt TEXT NOT NULL DEFAULT '',
    t INTEGER NOT NULL
);
CREATE TABLE papers (station TEXT PRIMARY KEY, t INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    arrived INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    payload BLOB NOT NULL, digest TEXT NOT NULL, whole INTEGER NOT NULL,
    UNIQUE (topic, digest)
);
INSERT INTO "quarantine" VALUES(1,1723118405000,'tocsin/1/lin-an-01/readings','malformed','Input data was truncated',X'7B','a22eaa0fead0d23a',1);
CREATE TABLE quarantine_sizes (topic TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE revoked (
    station TEXT NOT NULL, mark TEXT NOT NULL, t INTEGER NOT NULL, PRIMARY KEY (station, mark)
) WITHOUT ROWID;
CREATE TABLE rules_sent (
    station TEXT NOT NULL, version INTEGER NOT NULL, who TEXT NOT NULL, t INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (station, version)
) WITHOUT ROWID;
CREATE TABLE rules_states (station TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE stations (
    id TEXT PRIMARY KEY, card TEXT, boot TEXT NOT NULL DEFAULT '', heartbeat TEXT, heard_at INTEGER NOT NULL DEFAULT 0,
    card_seq INTEGER NOT NULL DEFAULT 0, card_t INTEGER NOT NULL DEFAULT 0, clone_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO "stations" VALUES('lin-an-01','{"name":"Stone Bridge","name_zh":"石桥","area":"330112001003","latitude":30.25,"longitude":119.75,"series":[{"key":"gauge/stage_m","quantity":"stage_m","period_s":5.0,"plausible":[-1.0,20.0],"datum":""}],"rules":[{"name":"stage","series":"gauge/stage_m","quantity":"stage_m","hazard":"flood","levels":{"orange":3.0},"over_s":0,"low":false,"feature":"value","target":null}],"rules_hash":"r1"}','00000000000000a1','{"v":1,"station":"lin-an-01","t":1723118400000,"online":true,"boot":"00000000000000a1","backlog":0,"siren":0,"devices":[],"siren_health":null,"every_s":60.0,"summary_s":0.0,"today_bytes":0,"month_bytes":0,"budget_bytes":0,"thinning":0,"log":null,"faults":[],"power":"","next_s":0.0,"mark":""}',1723118405000,1,1723118400000,0);
CREATE TABLE strangers (
    station TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, messages INTEGER NOT NULL,
    records INTEGER NOT NULL, size INTEGER NOT NULL, heartbeat TEXT, card TEXT
) WITHOUT ROWID;
CREATE TABLE warnings (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "warnings" VALUES('flood-20240808-55f9b75bb526','{"id":"flood-20240808-55f9b75bb526","area":"330112100201","hazard":"flood","state":"open","level":3,"peak":3,"stage":"prepare","opened_at":1723096800000,"changed_at":1723096800000,"closed_at":0,"historic":false,"episodes":{"upper-bridge/radar/stage_m/stage":{"id":"e1","station":"upper-bridge","series":"radar/stage_m","rule":"stage","level":3,"revision":1,"stage":"prepare","since":1723096800000,"changed_at":1723096800000,"value":2.35,"threshold":2.0,"over_s":0,"authority":"auto","historic":false,"place":"Upper Bridge","place_zh":"上桥","latitude":30.2561,"longitude":119.7262,"feature":"value","target":null,"hold_s":0.0,"asked_at":0,"consent":"none","boot":"00000000000000aa","shelved":false,"group":null,"stands":0,"stands_stage":"watch"},"mill-creek/radar/stage_m/stage":{"id":"e1","station":"mill-creek","series":"radar/stage_m","rule":"stage","level":3,"revision":1,"stage":"prepare","since":1723096800000,"changed_at":1723096800000,"value":2.35,"threshold":2.0,"over_s":0,"authority":"auto","historic":false,"place":"Mill Creek","place_zh":"磨坊溪","latitude":30.2702,"longitude":119.7401,"feature":"value","target":null,"hold_s":0.0,"asked_at":0,"consent":"none","boot":"00000000000000aa","shelved":false,"group":null,"stands":0,"stands_stage":"watch"},"upper-bridge/radar/stage_m/rise":{"id":"e1","station":"upper-bridge","series":"radar/stage_m","rule":"rise","level":3,"revision":1,"stage":"prepare","since":1723096800000,"changed_at":1723096800000,"value":2.35,"threshold":2.0,"over_s":0,"authority":"auto","historic":false,"place":"Upper Bridge","place_zh":"上桥","latitude":30.2561,"longitude":119.7262,"feature":"value","target":null,"hold_s":0.0,"asked_at":0,"consent":"none","boot":"00000000000000aa","shelved":false,"group":null,"stands":0,"stands_stage":"watch"}},"calls":{"Li Ming":{"person":"Li Ming","role":"village head","tier":"village","level":3,"first_at":1723096800000,"last_at":1723096800000,"times":1,"answered_at":0,"how":"","note":""},"Wang Fang":{"person":"Wang Fang","role":"household","tier":"household","level":3,"first_at":1723096800000,"last_at":1723096800000,"times":1,"answered_at":0,"how":"","note":""}},"bulletins":["330112100201-1"],"said":[1723096800000],"earlier":{},"rose_at":1723096800000,"confirmed_at":0,"confirmed_by":"","held_at":0,"held_by":"","technical":false}');
CREATE TABLE windows (
    width TEXT NOT NULL, station TEXT NOT NULL, begin INTEGER NOT NULL, due INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (width, station, begin)
) WITHOUT ROWID;
CREATE INDEX landing_times ON landing (station, t_last, t_first) WHERE t_last IS NOT NULL;
CREATE INDEX landing_wide ON landing (station, t_first) WHERE t_last - t_first > 3600000;
CREATE INDEX quarantine_whole ON quarantine (whole, id);
CREATE INDEX journal_warning ON journal (warning, id);
CREATE INDEX outbox_state ON outbox (state, next_at);
CREATE INDEX commands_station ON commands (station, issued);
CREATE INDEX commands_open ON commands (expires) WHERE state IN ('waits', 'sent');
CREATE INDEX order_journal_station ON order_journal (station, id);
CREATE INDEX windows_due ON windows (due);
CREATE INDEX group_log_new ON group_log (id) WHERE NOT taken;
CREATE INDEX landing_detections ON landing (id) WHERE kind = 'detection';
CREATE INDEX landing_starts ON landing (station, boot, seq) WHERE kind = 'start';
CREATE INDEX outbox_counts ON outbox (channel, state);
CREATE INDEX quarantine_reason ON quarantine (reason);
CREATE INDEX quarantine_oldest ON quarantine (topic, arrived) WHERE NOT whole;
CREATE TRIGGER quarantine_more AFTER INSERT ON quarantine WHEN NOT new.whole BEGIN
    INSERT INTO quarantine_sizes VALUES (new.topic, length(new.payload) + length(new.detail) + 400)
        ON CONFLICT (topic) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER quarantine_less AFTER DELETE ON quarantine WHEN NOT old.whole BEGIN
    UPDATE quarantine_sizes SET bytes = bytes - length(old.payload) - length(old.detail) - 400 WHERE topic = old.topic;
    DELETE FROM quarantine_sizes WHERE topic = old.topic AND bytes <= 0;
END;
CREATE INDEX episodes_station ON episodes (station, id);
CREATE INDEX episodes_warning ON episodes (warning, id);
CREATE INDEX warnings_opened ON warnings (json_extract(state, '$.opened_at'), id);
CREATE INDEX warnings_closed ON warnings (json_extract(state, '$.closed_at') DESC, id)
    WHERE json_extract(state, '$.state') = 'closed';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('landing',4);
INSERT INTO "sqlite_sequence" VALUES('journal',1);
INSERT INTO "sqlite_sequence" VALUES('episodes',3);
COMMIT;
PRAGMA user_version = 2;
