INSERT INTO limit_key (revision, name, kind, per, value_form, default_value, calendar_window, label, per_request, description, created_at, updated_at)
VALUES (3, 'seats', 'count', 'org', 'max', 5, NULL, NULL, NULL, '', 1, 1),
       (4, 'calls', 'quota', 'org', 'max', 100, 'day', 'call', FALSE, '', 1, 1),
       (5, 'posts', 'count', 'project', 'max', NULL, NULL, NULL, NULL, '', 1, 1);
INSERT INTO tier (revision, name, display_name, description, created_at, updated_at) VALUES (2, 'free', 'Free', '', 1, 1);
INSERT INTO tier_limit (revision, tier, limit_key, value_form, value, created_at, updated_at) VALUES (6, 'free', 'seats', 'max', 5, 1, 1);
INSERT INTO org (revision, id, tier, name, metadata, created_at, updated_at) VALUES (6, 'acme', 'free', 'Acme', '{}', 1, 1);
INSERT INTO org_override (revision, org, id, limit_key, mode, value_form, value, reason, starts_at, created_at, updated_at)
VALUES (7, 'acme', 'ovr_1', 'calls', 'add', 'max', 5, '', 0, 1, 1);
INSERT INTO user_ban (revision, id, banned_at, created_at, updated_at) VALUES (8, 'eve', 1, 1, 1);
INSERT INTO scope (revision, name, description, created_at, updated_at) VALUES (1, 'posts:read', '', 1, 1);
INSERT INTO api_key (revision, id, name, org, user_id, created_at, updated_at)
VALUES (8, 'key_1', 'k', NULL, NULL, 1, 1), (9, 'key_2', 'k', 'acme', 'eve', 1, 1);
INSERT INTO api_key_scope (key_id, scope) VALUES ('key_1', 'admin'), ('key_2', 'read'), ('key_2', 'posts:read');
INSERT INTO api_key_secret (hash, key_id, shown, created_at) VALUES (zeroblob(32), 'key_1', 'plm_0', 1);
INSERT INTO removed_endpoint (revision, id, method, path, created_at, updated_at) VALUES (1, 'rem_1', 'GET', '/old', 1, 1);
INSERT INTO change_log (revision, at, actor_kind, action, object, object_id, after)
VALUES (6, 1, 'bootstrap', 'create', 'org', 'acme', '{}'), (7, 1, 'bootstrap', 'create', 'override', 'ovr_1', '{}'),
       (8, 1, 'bootstrap', 'create', 'user', 'eve', '{}'), (9, 1, 'bootstrap', 'create', 'apiKey', 'key_2', '{}');
UPDATE catalogue_revision SET value = 9;
INSERT INTO limit_key_use (limit_key) VALUES ('seats'), ('calls'), ('posts');
INSERT INTO usage (org, limit_key, resource, window_start, window_end, used)
VALUES ('acme', 'seats', '', 0, NULL, 7), ('acme', 'posts', 'p1', 0, NULL, 2),
       ('acme', 'calls', '', 1795305600000, 1795392000000, 3), ('acme', 'seats', '', 1795305600000, 1795392000000, 1);
INSERT INTO reservation (org, limit_key, resource, id, window_start, window_end, amount, status, confirmed, created_at, expires_at, settled_at)
VALUES ('acme', 'seats', '', '00000000000000000000000000000001', 0, NULL, 1, 'held', NULL, 1795348790000, 1795348860000, NULL),
       ('acme', 'calls', '', '00000000000000000000000000000002', 1795305600000, 1795392000000, 2, 'confirmed', 1, 1795348700000, 1795348790000, 1795348710000),
       ('acme', 'seats', '', '00000000000000000000000000000003', 0, NULL, 1, 'expired', NULL, 1795348700000, 1795348790000, 1795348790000);
INSERT INTO answer (seq, created_at, caller, key_hash, fingerprint, status, is_sealed, body)
VALUES (1, 1795348700000, 'key_1', zeroblob(32), zeroblob(32), 200, FALSE, zeroblob(2)),
       (2, 1795348700000, 'key_1', zeroblob(32), zeroblob(32), 200, FALSE, zeroblob(2));
INSERT INTO answer_count (caller, records, since) VALUES ('key_1', 2, 1795348700000);
