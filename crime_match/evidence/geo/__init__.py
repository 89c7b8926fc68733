"""The maps of a pack as files: GeoJSON, GeoPackage, KML."""
