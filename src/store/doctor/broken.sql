-- A harm, and the line that must be said of it.

-- What the schema says.
PRAGMA user_version = 3 => file: its user_version is not that of this version's schema
DROP INDEX reservation_held => schema reservation_held: is missing
DROP TABLE user_ban => schema user_ban: is missing
CREATE TRIGGER t AFTER UPDATE ON usage BEGIN SELECT 1; END => schema t: is not of this version
PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ', CHECK (confirmed IS NULL OR confirmed BETWEEN 1 AND amount)', '') WHERE name = 'reservation' => schema reservation: is not as this version makes it
UPDATE usage SET used = 'many' WHERE resource = 'p1' => usage acme/posts/p1/0: its used is not a whole number
UPDATE usage SET used = 1.5 WHERE resource = 'p1' => usage acme/posts/p1/0: its used is not a whole number
UPDATE usage SET used = -1 WHERE resource = 'p1' => usage acme/posts/p1/0: it is not true that used BETWEEN 0 AND 9007199254740991
UPDATE usage SET window_end = window_start WHERE limit_key = 'calls' => usage acme/calls//1795305600000: it is not true that (window_start = 0 AND window_end IS NULL) OR window_end > window_start
UPDATE reservation SET confirmed = 3 WHERE status = 'confirmed' => reservation acme/00000000000000000000000000000002: it is not true that confirmed IS NULL OR confirmed BETWEEN 1 AND amount
UPDATE reservation SET settled_at = 5 WHERE status = 'held' => reservation acme/00000000000000000000000000000001: it is not true that (status = 'held') = (settled_at IS NULL)
UPDATE reservation SET status = 'lost' WHERE status = 'held' => reservation acme/00000000000000000000000000000001: it is not true that status IN ('held', 'confirmed', 'released', 'expired')
UPDATE api_key_secret SET hash = x'00' => api_key_secret key_1/plm_0: it is not true that length(hash) = 32
UPDATE org SET tier = 'none' => org acme -> tier: refers to a row that is not there
UPDATE tier_limit SET value_form = 'days' => tier_limit free/seats -> limit_key: refers to a row that is not there
UPDATE api_key SET org = 'none' WHERE id = 'key_2' => api_key key_2 -> org: refers to a row that is not there
INSERT INTO api_key_rate VALUES ('key_1', 'seats', 'rate', 5) => api_key_rate key_1/seats -> limit_key: refers to a row that is not there
INSERT INTO api_key_rate VALUES ('key_1', 'seats', 'count', 5) => api_key_rate key_1/seats: it is not true that kind = 'rate'
INSERT INTO api_key_rate VALUES ('key_1', 'seats', 'rate', -1) => api_key_rate key_1/seats: it is not true that max IS NULL OR max BETWEEN 0 AND 9007199254740991
UPDATE api_key SET last_used_at = 'lately' WHERE id = 'key_1' => api_key key_1: its last_used_at is not a whole number or NULL

-- The catalogue and its log.
DELETE FROM catalogue_revision => catalogue_revision: is empty: the catalogue has no revision
UPDATE catalogue_revision SET value = 5 => org acme: its revision is beyond that of the catalogue
UPDATE catalogue_revision SET value = 10 => change_log 9: is the newest line of the log, but not the revision of the catalogue
DELETE FROM change_log WHERE revision = 7 => change_log 8: follows a gap in the log
UPDATE change_log SET after = '{' WHERE revision = 8 => change_log 8: its before or after is not JSON
UPDATE limit_key SET kind = 'retention', value_form = 'days' WHERE name = 'posts' => limit_key posts: only what is counted can be counted per resource
UPDATE org SET metadata = '[]' => org acme: its metadata is not a JSON object
UPDATE org SET metadata = '{' => org acme: its metadata is not a JSON object
INSERT INTO api_key_scope VALUES ('key_2', 'none') => api_key_scope key_2/none: the scope does not exist
INSERT INTO api_key_scope VALUES ('key_2', 'admin') => api_key_scope key_2/admin: the key of an org has the scope admin

-- What orgs have used.
INSERT INTO usage VALUES ('acme', 'none', '', 0, NULL, 0, 0) => usage acme/none//0: its limit key does not exist
DELETE FROM limit_key_use WHERE limit_key = 'posts' => usage acme/posts/p1/0: its limit key is not among those that were ever taken from
INSERT INTO limit_key_use VALUES ('none') => limit_key_use none: the limit key does not exist
UPDATE usage SET used = 9007199254740991 WHERE limit_key = 'seats' => usage acme/seats//0: more than 9007199254740991 is used and held
WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 10001) INSERT INTO reservation (org, limit_key, resource, id, window_start, amount, status, created_at, expires_at) SELECT 'acme', 'seats', '', printf('%032x', n + 99), 0, 1, 'held', 1, 2 FROM n => usage acme/seats//0: more than 10000 reservations are held of it
UPDATE usage SET window_end = window_end + 1 WHERE limit_key = 'calls' => usage acme/calls//1795305600000: its window is none of the calendar's
UPDATE usage SET window_start = window_start + 1, window_end = window_end + 1 WHERE limit_key = 'calls' => usage acme/calls//1795305600001: its window is none of the calendar's

-- Reservations.
UPDATE reservation SET limit_key = 'none' WHERE status = 'expired' => reservation acme/00000000000000000000000000000003: its limit key does not exist
DELETE FROM usage WHERE limit_key = 'seats' => reservation acme/00000000000000000000000000000001: it holds, but its counter does not exist
UPDATE reservation SET settled_at = expires_at WHERE status = 'confirmed' => reservation acme/00000000000000000000000000000002: it was settled after it had expired
UPDATE reservation SET settled_at = expires_at - 1 WHERE status = 'expired' => reservation acme/00000000000000000000000000000003: it expired before its time was over
UPDATE reservation SET created_at = 0 WHERE status = 'held' => reservation acme/00000000000000000000000000000001: it was made for more than a day
UPDATE reservation SET window_end = NULL WHERE status = 'confirmed' => reservation acme/00000000000000000000000000000002: its window has a start without an end, or an end without a start
UPDATE reservation SET window_end = window_end + 1 WHERE status = 'confirmed' => reservation acme/00000000000000000000000000000002: its window is none of the calendar's

-- Answers under idempotency keys.
UPDATE answer_count SET records = 3 => answer_count key_1: it is not the number of the caller's answers
DELETE FROM answer WHERE seq = 1 => answer_count key_1: it is not the number of the caller's answers
DELETE FROM answer_count => answer 1: its caller's answers are not counted
UPDATE answer SET seq = 0 WHERE seq = 1 => answer 0: its number is not above 0

-- What is scheduled.
INSERT INTO org_schedule (org, starts_at, tier) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 17) SELECT 'acme', i, 'free' FROM n => org_schedule acme/1: more than 16 tiers are scheduled of its org
INSERT INTO tier_limit_schedule (tier, limit_key, starts_at, value_form, value) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 17) SELECT 'free', 'seats', i, 'max', i FROM n => tier_limit_schedule free/seats/1: more than 16 values are scheduled of its tier and limit key

-- Names and ids.
UPDATE limit_key SET name = 'Posts' WHERE name = 'posts' => limit_key Posts: its name does not match ^[a-z][a-z0-9_:.-]{0,63}$
UPDATE limit_key SET per = '' WHERE name = 'posts' => limit_key posts: its per does not match ^[a-z][a-z0-9_:.-]{0,63}$
UPDATE tier SET name = '1st' => tier 1st: its name does not match ^[a-z][a-z0-9_:.-]{0,63}$
UPDATE scope SET name = 'posts/read' => scope posts/read: its name does not match ^[a-z][a-z0-9_:.-]{0,63}$
UPDATE org SET id = 'ac me' => org ac me: its id is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE org_override SET id = '' => org_override acme/: its id is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE user_ban SET id = 'e/ve' => user_ban e/ve: its id is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE api_key SET id = 'key 1' WHERE id = 'key_1' => api_key key 1: its id is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE api_key SET user_id = '' WHERE id = 'key_2' => api_key key_2: its user_id is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE removed_endpoint SET id = '' => removed_endpoint: its id is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE usage SET org = 'ac/me' WHERE resource = 'p1' => usage ac/me/posts/p1/0: its org is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE usage SET resource = 'p 1' WHERE resource = 'p1' => usage acme/posts/p 1/0: its resource is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE reservation SET org = 'ac me' WHERE status = 'held' => reservation ac me/00000000000000000000000000000001: its org is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE reservation SET resource = '-/' WHERE status = 'expired' => reservation acme/00000000000000000000000000000003: its resource is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -
UPDATE reservation SET id = 'x' WHERE status = 'held' => reservation acme/x: its id is not 32 digits of 0-9 a-f
