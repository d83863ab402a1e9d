-- Postgres itself refuses the write of a `view` impersonator, whatever the code does.
-- The app has to log in as a role that is no superuser and has no BYPASSRLS.

-- `none`: nobody is impersonated. Unset or empty: somebody forgot the settings, and may not write.
create function onbehalf_may_write() returns boolean language sql stable as $$
  select coalesce(current_setting('onbehalf.access_level', true), '') in ('none', 'interactive', 'full')
$$;

alter table notes enable row level security;
alter table notes force row level security; -- for the owner of the table, too

-- Your own rules: here everybody sees and writes everything.
create policy everybody on notes using (true) with check (true);

-- Restrictive: whatever the rules above allow, this has to hold as well.
create policy onbehalf_insert on notes as restrictive for insert
  with check (onbehalf_may_write());
create policy onbehalf_update on notes as restrictive for update
  using (true) with check (onbehalf_may_write());
-- A delete finds no rows; under `view` it fails before that, because the transaction is read-only.
create policy onbehalf_delete on notes as restrictive for delete
  using (onbehalf_may_write());

-- Truncate knows no policies: the app's role needs no right to it.
