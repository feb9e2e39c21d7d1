"""The programme: what holds, what was published, and publishing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.api_keys import ApiKey
from services.loyalty.application.online import OnlineSession, PublishedVersion
from services.loyalty.application.programs import NoProgram
from services.loyalty.application.publishing import check, publish, warnings
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import Program
from services.loyalty.http import examples, openapi
from services.loyalty.http.languages import InLanguages, Languages
from services.loyalty.http.media import JSON, YAML_TYPES, read_text
from services.loyalty.http.models import Description, Moment, Name, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

router = APIRouter(prefix="/v1/program", tags=["programme"])

_READ = [Security(key_holder, scopes=["program:read"])]
DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A programme document; its schema is `contracts/program.schema.json`.",
        "content": {
            "application/yaml": {"schema": {"type": "string"}, "example": examples.PROGRAM_YAML},
            "application/json": {"schema": {"type": "object"}, "example": examples.PROGRAM_JSON},
        },
    }
}


class Version(Shown):
    """A published version."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.VERSION]})

    version: int = Field(description="Its number; the first is 1.")
    program: str = Field(description="The programme's name.")
    holds_from: Moment = Field(description="From when it holds.")
    published_at: Moment = Field(description="When it was published.")
    published_by: str = Field(description="Who published it: the name of a key, or a login.")
    digest: str = Field(description="SHA-256 of the document's text, in hexadecimal.")


class VersionWithDocument(Version):
    """A published version and its text, exactly as it was published."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CURRENT]})

    name: Name
    description: Description
    document: str = Field(description="The document, in YAML or JSON.")


class ProgramWarning(Shown):
    """What a document says that is allowed, and may not be what was meant."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.WARNING]})

    place: str = Field(description="Where, as in `boosts.payday.days`.")
    reason: str = Field(description="What it leads to.")
    remedy: str = Field(description="What to write instead.")
    line: int | None = Field(description="The line of the text, from 1.")
    column: int | None = Field(description="The column of that line, from 1.")


class Published(VersionWithDocument):
    """A version that was just published."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.PUBLISHED]})

    warnings: list[ProgramWarning] = Field(description="What may not be meant; nothing is refused.")


class Summary(Shown):
    """A version in the list of versions."""

    version: int = Field(description="Its number; the first is 1.")
    holds_from: Moment = Field(description="From when it holds.")
    published_at: Moment = Field(description="When it was published.")
    published_by: str = Field(description="Who published it: the name of a key, or a login.")
    digest: str = Field(description="SHA-256 of the document's text, in hexadecimal.")


class Versions(Shown):
    """All published versions, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.VERSIONS]})

    versions: list[Summary] = Field(description="Newest first.")


class Called(Shown):
    """Something that the programme names."""

    id: str = Field(description="Its id, by which all other answers name it.", examples=["gold"])
    name: Name
    description: Description


class Glossary(Shown):
    """All that the version that holds now names, in one language."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.GLOSSARY]})

    as_of: Moment = Field(description="The instant for which it holds.")
    program_version: int = Field(description="The version that holds then.")
    program: Called = Field(description="The programme itself.")
    currencies: list[Called] = Field(description="Currencies of points.")
    levels: list[Called] = Field(description="Levels, lowest first.")
    benefits: list[Called] = Field(description="Benefits of levels that it has words for.")
    earn: list[Called] = Field(description="Earning rules.")
    boosts: list[Called] = Field(description="Boosts.")
    gifts: list[Called] = Field(description="Gifts.")
    stamps: list[Called] = Field(description="Cards of stamps, streaks and challenges.")
    badges: list[Called] = Field(description="Badges.")
    rewards: list[Called] = Field(description="Rewards.")
    reasons: list[Called] = Field(description="Reason codes that it has words for.")


class Checked(Shown):
    """A document without mistakes, in short."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CHECKED]})

    program: str = Field(description="The programme's name.")
    version: int = Field(description="The number it would get.")
    holds_from: Moment = Field(description="From when it would hold.")
    currencies: list[str] = Field(description="Its currencies.")
    levels: list[str] = Field(description="Its tier levels, lowest first.")
    rules: list[str] = Field(description="Its earning rules.")
    rewards: list[str] = Field(description="Its rewards.")
    warnings: list[ProgramWarning] = Field(description="What may not be meant; nothing is refused.")


@router.get(
    "",
    summary="The version that holds now",
    responses=openapi.answers("unknown_program", example=examples.CURRENT),
    dependencies=_READ,
)
async def current(parts: PartsHere, languages: InLanguages) -> VersionWithDocument:
    """With its document. Before the first version holds, this is the first."""
    held, _ = await _held(parts)
    return await _shown(parts, held.version, languages)


@router.get(
    "/names",
    summary="What everything is called",
    responses=openapi.answers("unknown_program", example=examples.GLOSSARY),
    dependencies=_READ,
)
async def names(parts: PartsHere, languages: InLanguages) -> Glossary:
    """Names and descriptions of all that the version that holds now names, by their ids."""
    held, now = await _held(parts)
    say = languages.of(held)
    called = {
        section: [
            Called(id=one, name=say.name(section, one), description=say.description(section, one))
            for one in named
        ]
        for section, named in held.words.items()
    }
    [program] = called.pop("program")
    return Glossary(as_of=rfc3339(now), program_version=held.version, program=program, **called)


async def _held(parts: PartsHere) -> tuple[Program, Instant]:
    """The version that holds now, and now."""
    now = await parts.now()
    try:
        return parts.programs.at(now), now
    except NoProgram as error:
        raise Problem("unknown_program") from error


@router.get(
    "/versions",
    summary="All versions",
    responses=openapi.answers(example=examples.VERSIONS),
    dependencies=_READ,
)
async def versions(parts: PartsHere) -> Versions:
    """Newest first, without their documents; also those that do not hold yet."""
    return Versions(
        versions=[
            Summary(
                version=known.version,
                holds_from=rfc3339(known.holds_from),
                published_at=rfc3339(known.published_at),
                published_by=known.published_by,
                digest=known.digest,
            )
            for known in await parts.store.load_versions()
        ]
    )


@router.get(
    "/versions/{version}",
    summary="One version",
    responses=openapi.answers("unknown_version", example=examples.CURRENT),
    dependencies=_READ,
)
async def one_version(
    parts: PartsHere,
    version: Annotated[int, Path(description="Its number.", ge=1, le=2**31 - 1, examples=[1])],
    languages: InLanguages,
) -> VersionWithDocument:
    """With its document, exactly as it was published."""
    return await _shown(parts, version, languages)


@router.post(
    "/versions",
    summary="Publish a version",
    status_code=201,
    responses=openapi.answers(
        "program_mistakes",
        "holds_too_soon",
        "version_exists",
        "unsupported_media_type",
        example=examples.PUBLISHED,
        status=201,
    ),
    openapi_extra=DOCUMENT,
)
async def publish_version(
    parts: PartsHere,
    request: Request,
    languages: InLanguages,
    holder: Annotated[ApiKey, Security(key_holder, scopes=["program:publish"])],
) -> Published:
    """For good: a published version never changes. It must hold at least 60 seconds from now on.

    A document with mistakes is refused with all of them at once: place, reason and remedy. What is
    allowed and may not be meant, such as a 31st of each month, is a warning beside the answer.
    """
    text = await read_text(request, JSON, *YAML_TYPES)
    async with parts.store.session() as session:
        made = await publish(session, parts.clock, text, by=holder.name)
        warned = await _warnings(session, text)
    shown = _with_document(made, languages)
    return Published(**shown.model_dump(), warnings=warned)


@router.post(
    "/check",
    summary="Check a document",
    responses=openapi.answers(
        "program_mistakes", "unsupported_media_type", example=examples.CHECKED
    ),
    openapi_extra=DOCUMENT,
    dependencies=_READ,
)
async def check_document(parts: PartsHere, request: Request) -> Checked:
    """As if it were published next, with nothing published."""
    text = await read_text(request, JSON, *YAML_TYPES)
    async with parts.store.session() as session:
        program = await check(session, text)
        warned = await _warnings(session, text)
    return Checked(
        program=program.name,
        version=program.version,
        holds_from=rfc3339(program.holds_from),
        currencies=list(program.currencies),
        levels=[level.name for level in program.tiers.levels] if program.tiers else [],
        rules=[rule.id for rule in program.rules],
        rewards=list(program.rewards),
        warnings=warned,
    )


async def _warnings(session: OnlineSession, text: str) -> list[ProgramWarning]:
    return [ProgramWarning(**asdict(one)) for one in await warnings(session, text)]


async def _shown(parts: PartsHere, version: int, languages: Languages) -> VersionWithDocument:
    published = await parts.store.load_version(version)
    if published is None:
        raise Problem("unknown_version", f"There is no version {version}.")
    return _with_document(published, languages)


def _with_document(published: PublishedVersion, languages: Languages) -> VersionWithDocument:
    program = parse_program(published.document, published.version)
    say = languages.of(program)
    return VersionWithDocument(
        version=published.version,
        program=program.name,
        name=say.name("program", program.name),
        description=say.description("program", program.name),
        holds_from=rfc3339(published.holds_from),
        published_at=rfc3339(published.published_at),
        published_by=published.published_by,
        digest=published.digest,
        document=published.document,
    )
