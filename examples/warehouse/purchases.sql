CREATE TABLE IF NOT EXISTS purchases (
  customer integer NOT NULL,
  day date NOT NULL,
  cds integer NOT NULL,
  dollars numeric(9,2) NOT NULL CONSTRAINT is_looked_at CHECK (dollars <= 150)  -- whoever spends more is looked at first
);
