"""The systems and extensions of the directory in FHIR (docs/conformance/fhir.md), for reading and writing."""

from __future__ import annotations

INSTITUTION = "urn:huitong:institution"
DEPARTMENT = "urn:huitong:department"
PRACTITIONER = "urn:huitong:practitioner"
LICENCE = "urn:huitong:licence"
ENDPOINT = "urn:huitong:endpoint"
#: Unified social credit code.
GB32100 = "urn:huitong:gb32100"
GB2260 = "urn:huitong:gbt2260"
LEVEL = "urn:huitong:institution-level"
COUNTY_GROUP = "urn:huitong:county-group"
ITEM = "urn:huitong:item"
SCOPE = "urn:huitong:certificate-level"
RESULT = "urn:huitong:certificate-result"
AE_TITLE = "urn:huitong:ae-title"
DEPARTMENT_OF_ROLE = "urn:huitong:department-of-role"
#: Organization.qualification of R5, said in R4 by the extension that HL7 has for elements of other versions.
QUALIFICATION = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Organization.qualification"

ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"
PRACTITIONER_ROLE = "http://terminology.hl7.org/CodeSystem/practitioner-role"
OUR_ROLE = "urn:huitong:role"
CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
OUR_CONNECTION = "urn:huitong:endpoint-kind"
PAYLOAD = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
#: Of `codes.ROLES`, those that HL7's code system has.
ROLES_OF_HL7 = frozenset({"doctor", "nurse", "pharmacist", "researcher", "teacher"})
GENDERS = {"M": "male", "F": "female", "O": "other", "U": "unknown"}


def caller(ae_title: str) -> str:
    """The address of an endpoint that only calls: R4 wants one, and it is known by its AE title if by anything."""
    return f"dicom:{ae_title}" if ae_title else "urn:huitong:caller"
