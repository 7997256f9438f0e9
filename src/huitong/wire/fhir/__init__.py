"""HL7 FHIR R4 (4.0.1) as JSON, pure: resources are dicts; search parameters, bundles, outcomes, capabilities."""
