# What: a database in memory: tables with indexes, joins, blobs, triggers,
# deletes, a full-text search, a transaction undone, integrity checks.
#
# Exercises: page-sized blocks by the hundred thousand, small blocks of the
# parser, large sorter buffers, malloc_usable_size.
#
# Answer: the same sums as without the library; integrity_check says ok.
case_about='a large database in memory, with sums of everything'
case_sets='quick'
case_tools=sqlite3
case_packages=sqlite3
case_proof=sqlite3

write_statements() {
    cat <<EOF
PRAGMA cache_size=-400000;
PRAGMA temp_store=MEMORY;
CREATE TABLE item(id INTEGER PRIMARY KEY, k INTEGER, t TEXT, b BLOB);
WITH RECURSIVE c(n, s) AS (SELECT 1, 17 UNION ALL
    SELECT n + 1, (s * 1103515245 + 12345) & 2147483647 FROM c
    WHERE n < $1)
INSERT INTO item SELECT n, s % 10007, 'text ' || s, zeroblob(s % 300) FROM c;
CREATE INDEX item_k ON item(k);
CREATE INDEX item_t ON item(t, k);
CREATE TABLE log(id INTEGER, what TEXT);
CREATE TRIGGER gone AFTER DELETE ON item BEGIN
    INSERT INTO log VALUES(old.id, 'gone ' || old.t); END;
SELECT count(*), sum(k), sum(length(b)), max(t) FROM item;
SELECT count(*), sum(x.k) FROM item x JOIN item y ON x.k = y.k
    WHERE x.id % 50 = 0;
DELETE FROM item WHERE k % 3 = 0;
SELECT count(*), sum(id), max(what) FROM log;
UPDATE item SET t = upper(t) || hex(k), b = randomblob(0) WHERE k % 5 = 0;
SELECT count(DISTINCT t), sum(length(t)), sum(length(b)) FROM item;
SELECT sum(length(g)) FROM (SELECT k, group_concat(t, ';') AS g FROM
    (SELECT k, t FROM item ORDER BY k, t) GROUP BY k);
BEGIN;
DELETE FROM item;
SELECT count(*) FROM item;
ROLLBACK;
CREATE VIRTUAL TABLE words USING fts5(body);
INSERT INTO words SELECT t || ' common ' || (k % 100) FROM item;
SELECT count(*) FROM words WHERE words MATCH 'common AND 42';
PRAGMA integrity_check;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(k * id) FROM item;
EOF
}

case_run() {
    write_statements "$(pick 50000 300000 2500000)" >statements
    both sqlite3 -bail -batch :memory: '.read statements'
    expect "$(grep -c '^ok$' under.out)" 2 'good integrity checks'
}
