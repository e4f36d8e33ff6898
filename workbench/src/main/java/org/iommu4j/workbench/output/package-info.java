// SPDX-License-Identifier: Apache-2.0

/**
 * The output of the command: everything that it prints.
 *
 * <p>Read in this order: {@link org.iommu4j.host.Printable} makes text safe to show,
 * {@link org.iommu4j.workbench.output.PrintableWriter} does so for all output and notices failed writes,
 * {@link org.iommu4j.workbench.output.StandardStreams} connects it to standard output and standard error, and
 * {@link org.iommu4j.workbench.output.Terminal} decides on colours and progress bars. Names of files, arguments and the
 * contents of captures are untrusted. Two walls stand between them and a terminal: a report makes each line or cell of
 * it one line ({@link org.iommu4j.host.Printable#line}), and the writer beneath escapes the rest.
 */
package org.iommu4j.workbench.output;
