-- Version 2: changes SQLite only (sqlite-2.sql).

SELECT 2;
