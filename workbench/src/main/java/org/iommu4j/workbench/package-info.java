// SPDX-License-Identifier: Apache-2.0

/**
 * The {@code iommu4j} command: {@code run}, {@code cases}, {@code audit}, {@code decode} and {@code capture}.
 *
 * <p>{@code run} and {@code cases} are wired here, once, by Guice; {@code --help} loads none of it, and what reads
 * files alone does without. Not here: what a case does, what a verdict is, what an audit answers.
 */
package org.iommu4j.workbench;
