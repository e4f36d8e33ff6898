// SPDX-License-Identifier: Apache-2.0

/**
 * Outcomes for people (text, HTML with pictures) and for programs (JSON, trace events).
 *
 * <p>{@link org.iommu4j.workbench.report.WordStory} replays what the timeline has of one word of memory: which value
 * was where, from when to when, and what led to a wrong read. {@link org.iommu4j.workbench.report.Summary} says it in
 * sentences, {@link org.iommu4j.workbench.report.StoryPicture} draws it, and
 * {@link org.iommu4j.workbench.report.TraceEvents} writes it for other viewers.
 */
package org.iommu4j.workbench.report;
