//! x, y y: z z.
