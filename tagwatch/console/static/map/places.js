// Degrees (WGS84) to map units (spherical Mercator) and back, and how many map units are a true metre on the ellipsoid.
const R = 6378137, E2 = 0.0066943799901413165, RAD = Math.PI / 180;
const MOST_LAT = 85.05;

export function toMap(lon, lat) {
  const y = Math.max(-MOST_LAT, Math.min(MOST_LAT, lat)) * RAD;
  return [R * lon * RAD, R * Math.log(Math.tan(Math.PI / 4 + y / 2))];
}

export function toDegrees([x, y]) {
  const lon = x / R / RAD, lat = (2 * Math.atan(Math.exp(y / R)) - Math.PI / 2) / RAD;
  return [((lon + 540) % 360 + 360) % 360 - 180, lat];
}

// Map units a metre at a latitude, [to the east, to the north]: a true circle is nearly a circle on the map.
export function unitsPerMetre(lat) {
  const sine = Math.sin(lat * RAD), flat = 1 - E2 * sine * sine, cosine = Math.cos(lat * RAD);
  return [Math.sqrt(flat) / cosine, flat ** 1.5 / (1 - E2) / cosine];
}

export const timeWords = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC";

export function durationWords(ms) {
  const minutes = Math.round(ms / 60000), hours = Math.floor(minutes / 60);
  if (ms < 60000) return `${Math.round(ms / 1000)} s`;
  return hours < 1 ? `${minutes} min` : hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
