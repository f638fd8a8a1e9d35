// Where the search for a greatest value starts: below every value that counts, yet finite, so that differences from it are no NaN.
const LOWEST: f32 = -3.4028234e38;
